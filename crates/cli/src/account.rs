//! Who one is: the options that `send` and `probe` have in common.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use postbound::Auth;
use postbound::sasl::{AuthPolicy, Credentials, Mechanism, Secret};

use crate::exit::{self, Stop};

/// The environment variable with the password.
const PASSWORD: &str = "POSTBOUND_PASSWORD";

#[derive(Debug, Args)]
pub(crate) struct Account {
    /// Authenticate with this mechanism only; several with commas between them, in this order
    /// [default: the strongest that the server offers]
    #[arg(long, value_delimiter = ',', value_name = "MECHANISM")]
    auth: Vec<Mechanism>,
    /// The user; the password is in POSTBOUND_PASSWORD or a file. With OAUTHBEARER or XOAUTH2 it is
    /// an access token
    #[arg(long, visible_alias = "au", value_name = "USER")]
    auth_user: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE")]
    auth_password_file: Option<PathBuf>,
    /// The password itself. Everybody on this machine can read it there
    #[arg(long, visible_alias = "ap", value_name = "PASSWORD")]
    auth_password: Option<String>,
    /// Say the password also over a connection that is not encrypted
    #[arg(long)]
    auth_without_tls: bool,
}

impl Account {
    /// How to authenticate, if at all.
    pub(crate) fn auth(&self) -> Result<Option<Auth>, Stop> {
        let tokens = [Mechanism::OAuthBearer, Mechanism::XOAuth2];
        let usage = |why: &str| Err(Stop::new(exit::USAGE, why));
        let mut policy = AuthPolicy::new();
        if !self.auth.is_empty() {
            policy = policy.only(self.auth.iter().copied());
        }
        if self.auth_without_tls {
            policy = policy.allow_clear_text_without_tls();
        }
        let credentials = match (&self.auth_user, self.auth.as_slice()) {
            (None, [Mechanism::External]) => Credentials::external(),
            (None, []) if self.auth_password.is_none() && self.auth_password_file.is_none() => {
                return Ok(None);
            }
            (None, _) => return usage("--auth-user is missing"),
            (Some(user), only) if only.iter().any(|one| tokens.contains(one)) => {
                Credentials::token(user, self.secret()?)
            }
            (Some(user), _) => Credentials::password(user, self.secret()?),
        };
        if let Some(misfit) = self.auth.iter().find(|one| !credentials.fit(**one)) {
            return usage(&format!(
                "--auth mixes {misfit} with mechanisms for something else"
            ));
        }
        Ok(Some(Auth::new(credentials).policy(policy)))
    }

    fn secret(&self) -> Result<Secret, Stop> {
        if let Some(file) = &self.auth_password_file {
            let text = fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                Stop::new(
                    exit::INPUT,
                    format!("the password {file} can't be read: {error}"),
                )
            })?;
            return Ok(Secret::from(text.lines().next().unwrap_or_default()));
        }
        if let Some(password) = &self.auth_password {
            eprintln!(
                "postbound: warning: a password on the command line can be read by everybody on this machine; use {PASSWORD}"
            );
            return Ok(Secret::from(password.as_str()));
        }
        password()
    }
}

/// The password of the environment.
pub(crate) fn password() -> Result<Secret, Stop> {
    std::env::var(PASSWORD)
        .map(Secret::from)
        .map_err(|_| Stop::new(exit::USAGE, format!("there is no password: set {PASSWORD}")))
}
