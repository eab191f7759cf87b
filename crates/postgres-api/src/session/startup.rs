//! How a connection begins: encryption is declined, the client says who it is, and is let in.
//!
//! There is no password yet: whoever reaches the address is let in under the name given, so the door listens on loopback unless told otherwise.

use headwater_sql::{SessionZone, SqlState};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::cancel::{Sessions, Switch};
use crate::options::SERVER_VERSION;
use crate::report::{self, PROTOCOL};
use crate::wire::output::Report;
use crate::wire::{Input, Output, Startup, WireError};

/// TLS, then GSS: a client asks for each at most once.
const ENCRYPTION_WISHES_MAX: usize = 2;

/// What a server of this kind says of itself at the start; drivers read the first six.
const PARAMETERS: [(&str, &str); 9] = [
    ("server_version", SERVER_VERSION),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("IntervalStyle", "postgres"),
    ("is_superuser", "off"),
    ("default_transaction_read_only", "off"),
];

/// What a client says of the session that it wants.
struct Wish {
    major: u16,
    minor: u16,
    parameters: Vec<(String, String)>,
}

/// Who is let in: the principal, the zone that it asks for, and its cancel switch.
type Begun = (String, Option<SessionZone>, Switch);

/// Lets a client in; `None` where there is no session to serve.
pub(super) async fn begin<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    input: &mut Input<R>,
    output: &mut Output<W>,
    sessions: &Sessions,
) -> Result<Option<Begun>, WireError> {
    let Some(wish) = wish(input, output, sessions).await? else {
        return Ok(None);
    };
    let switch = match wish {
        Wish {
            major: 3,
            minor,
            parameters,
        } => welcome(output, sessions, minor, &parameters),
        Wish { major, minor, .. } => {
            let text = format!("version {major}.{minor} of the protocol is not spoken here: use 3.0");
            output.error(&report::fatal(PROTOCOL, text));
            None
        }
    };
    output.flush().await?;
    Ok(switch)
}

/// Tells a client that it is not let in, once it has said what it wants: one that asks for encryption would take an error for the answer to that, and one
/// that cancels wants no session.
pub(super) async fn turn_away<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    input: &mut Input<R>,
    output: &mut Output<W>,
    sessions: &Sessions,
    why: &Report,
) -> Result<(), WireError> {
    if wish(input, output, sessions).await?.is_some() {
        output.error(why);
        output.flush().await?;
    }
    Ok(())
}

/// The session that a client asks for; `None` where it asks for none. Encryption is declined.
async fn wish<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    input: &mut Input<R>,
    output: &mut Output<W>,
    sessions: &Sessions,
) -> Result<Option<Wish>, WireError> {
    for _ in 0..=ENCRYPTION_WISHES_MAX {
        match input.startup().await? {
            None => return Ok(None),
            Some(Startup::Encrypt) => {
                output.no_encryption();
                output.flush().await?;
            }
            Some(Startup::Cancel { process, secret }) => {
                sessions.cancel((process, secret));
                return Ok(None);
            }
            Some(Startup::Session {
                major,
                minor,
                parameters,
            }) => {
                return Ok(Some(Wish {
                    major,
                    minor,
                    parameters,
                }));
            }
        }
    }
    Err(WireError::Malformed("encryption is asked for again and again"))
}

fn welcome<W: AsyncWrite + Unpin>(
    output: &mut Output<W>,
    sessions: &Sessions,
    minor: u16,
    parameters: &[(String, String)],
) -> Option<Begun> {
    let given = |name: &str| {
        parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let Some(user) = given("user").filter(|user| !user.is_empty()) else {
        output.error(&report::fatal(PROTOCOL, "the startup message names no user"));
        return None;
    };
    let written = parameters
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case("timezone"))
        .map_or("UTC", |(_, value)| value.as_str());
    let Ok(zone) = SessionZone::named(written) else {
        let text = format!("invalid value for parameter \"TimeZone\": \"{written}\"");
        output.error(&report::fatal(SqlState::INVALID_PARAMETER, text));
        return None;
    };
    let Some(switch) = sessions.enter() else {
        output.error(&report::fatal(
            PROTOCOL,
            "the machine gives no random numbers: no session can be opened",
        ));
        return None;
    };
    let unknown: Vec<&str> = parameters
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.starts_with("_pq_."))
        .collect();
    if minor > 0 || !unknown.is_empty() {
        output.negotiate_version(&unknown);
    }
    output.authentication_ok();
    for (name, value) in PARAMETERS {
        output.parameter_status(name, value);
    }
    output.parameter_status("TimeZone", zone.as_ref().map_or("UTC", SessionZone::name));
    output.parameter_status("session_authorization", user);
    output.parameter_status("application_name", given("application_name").unwrap_or_default());
    let (process, secret) = switch.key();
    output.backend_key(process, secret);
    output.ready(b'I');
    Some((user.to_owned(), zone, switch))
}
