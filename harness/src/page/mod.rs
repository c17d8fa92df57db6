//! The results as one page: no network, nothing beside it.

use serde_json::json;

use crate::guarantee::GUARANTEES;
use crate::results::Results;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub(crate) fn of(results: &Results) -> String {
    let guarantees: Vec<_> = GUARANTEES
        .iter()
        .map(|g| json!({"id": g.id, "name": g.name, "promise": g.promise}))
        .collect();
    let data = json!({"results": results, "guarantees": guarantees, "holds": results.hold()});
    // No octet of a dialogue can end the script: there is no `<` left in it.
    let data = data.to_string().replace('<', "\\u003c");
    // The data comes last: it may look like any of the other marks.
    PAGE.replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT)
        .replace("\"DATA\"", &data)
}

#[cfg(test)]
mod tests {
    use crate::results::{BrokenCase, Results};

    #[test]
    fn a_dialogue_cannot_end_the_script_that_holds_it() {
        let mut results = Results::new();
        let evil = "</script><script>alert(1)</script><!-- /*STYLE*/ \"DATA\"";
        results.add_broken(BrokenCase::new("mem", &evil, &[]));
        let page = results.page();
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("alert(1)</script>"));
        assert!(page.contains("\\u003c/script>\\u003cscript>alert(1)"));
    }

    #[test]
    fn the_page_asks_the_network_for_nothing() {
        let page = Results::new().page();
        for mark in ["http://", "https://", "src=", "@import", "url(", "fetch("] {
            assert!(!page.contains(mark), "{mark}");
        }
    }
}
