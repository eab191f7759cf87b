//! By which names this door may be called where only its own machine can call it.
//!
//! A page of another site may let its name lead to 127.0.0.1 once it is loaded (DNS rebinding). To the browser that is still one site, so that the page could
//! read and write here, though the door listens on loopback alone. What gives it away is `Host`: the browser writes the name that the page has.
//! So a connection to a loopback address takes `localhost`, addresses, and the names that the settings say. Any other connection is one that the
//! network lets through, and takes every name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, Uri, header};

use crate::problem::Problem;

/// The names that a connection takes.
#[derive(Debug, Clone)]
pub(crate) enum Hosts {
    Any,
    /// `localhost`, addresses, and these.
    Known(Arc<[String]>),
}

impl Hosts {
    /// Those of a connection to an address of this machine.
    pub(crate) fn of(local: SocketAddr, named: &Arc<[String]>) -> Hosts {
        match local.ip().to_canonical().is_loopback() {
            true => Hosts::Known(Arc::clone(named)),
            false => Hosts::Any,
        }
    }

    /// Refuses a request that calls this door by a name which is not taken. One that says none is no browser's.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Hosts::Known(named) = self else { return Ok(()) };
        // Whoever sends its requests to a proxy names the host in the address, too.
        let in_address = uri.host().map(str::as_bytes);
        let in_headers = headers
            .get_all(header::HOST)
            .iter()
            .map(|host| without_port(host.as_bytes()));
        for host in in_address.into_iter().chain(in_headers) {
            if !is_known(host, named) {
                return Err(refused(host));
            }
        }
        Ok(())
    }
}

fn refused(host: &[u8]) -> Problem {
    let host = String::from_utf8_lossy(host);
    let detail = format!(
        "'{host}' is no name of this door: over loopback it takes localhost, addresses and what http_hosts names, as a page of another site may let its own \
         name lead here; ask http://localhost, or start with --http-hosts {host} where the name is yours"
    );
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail).code("unknown_host")
}

/// A host without the port behind it.
fn without_port(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    match colon {
        // The last colon of an IPv6 address without a port stands within its brackets.
        Some(colon) if authority[colon..].iter().skip(1).all(u8::is_ascii_digit) => &authority[..colon],
        _ => authority,
    }
}

fn is_known(host: &[u8], named: &[String]) -> bool {
    // A name may end in the dot of the root.
    let host = host.strip_suffix(b".").unwrap_or(host);
    if host.eq_ignore_ascii_case(b"localhost") || is_address(host) {
        return true;
    }
    let below_localhost = host.len().checked_sub(".localhost".len()).and_then(|at| host.get(at..));
    below_localhost.is_some_and(|end| end.eq_ignore_ascii_case(b".localhost"))
        || named.iter().any(|name| host.eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether a host is an address, which no name server has a say in.
fn is_address(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn hosts(local: &str) -> Hosts {
        let named: Arc<[String]> = Arc::from(["bank.example".to_owned()]);
        Hosts::of(local.parse().expect("an address"), &named)
    }

    fn check(local: &str, host: &str, taken: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header"));
        let checked = hosts(local).check(&Uri::from_static("/views"), &headers);
        assert_eq!(checked.is_ok(), taken, "{host} at {local}");
    }

    #[test]
    fn loopback_is_asked_by_names_that_nobody_else_can_give() {
        for host in [
            "localhost",
            "LocalHost:8090",
            "localhost.",
            "bank.localhost:8090",
            "127.0.0.1",
            "127.0.0.1:8090",
            "192.168.1.7:8090",
            "[::1]",
            "[::1]:8090",
            "bank.example",
            "BANK.example:80",
            "bank.example.",
        ] {
            check("127.0.0.1:8090", host, true);
            check("[::1]:8090", host, true);
        }
        for host in [
            "evil.example",
            "evil.example:8090",
            "bank.example.evil.example",
            "notlocalhost",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.1",
            "0x7f000001",
            "::1",
            "[evil.example]",
            "localhost:80:80",
            "localhost:x",
            "",
            ":8090",
            ".",
        ] {
            check("127.0.0.1:8090", host, false);
            check("[::ffff:127.0.0.1]:8090", host, false);
            check("192.168.1.7:8090", host, true);
        }
    }

    #[test]
    fn every_host_of_a_request_counts() {
        let check = |address: &'static str, given: &[&'static str], taken: bool| {
            let mut headers = HeaderMap::new();
            for host in given {
                headers.append(header::HOST, HeaderValue::from_static(host));
            }
            let checked = hosts("127.0.0.1:8090").check(&Uri::from_static(address), &headers);
            assert_eq!(checked.is_ok(), taken, "{address} {given:?}");
        };
        check("/views", &[], true);
        check("/views", &["localhost", "evil.example"], false);
        check("http://evil.example/views", &["localhost"], false);
        check("http://localhost:8090/views", &["localhost:8090"], true);
        check("http://[::1]:8090/views", &[], true);
    }
}
