//! The results as one page that needs nothing else.

use crate::rows::Results;

/// The page.
///
/// # Errors
/// If the results can't be written as JSON.
pub fn page(results: &Results) -> serde_json::Result<String> {
    // No text of ours has it, and a page that ends early would show nothing.
    let json = serde_json::to_string(results)?.replace("</", "<\\/");
    Ok(include_str!("page.html").replace("RESULTS", &json))
}
