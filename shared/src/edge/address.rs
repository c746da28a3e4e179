//! Where a request comes from, as far as limits need it.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts as RequestParts;
use lambda_http::request::RequestContext;

use super::app::App;
use super::problem::Problem;

/// What stands for the network address that a request comes from: a keyed hash, by which requests are counted
/// and from which nobody reads the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// For counting.
    pub reference: String,
    /// The address as it is, where it is known: for records of who accepted what, and nothing else.
    pub text: Option<String>,
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> Result<Self, Problem> {
        let address = address(parts);
        let counted = address.map_or_else(|| "unknown".to_owned(), network);
        Ok(Self {
            reference: app.keyring.reference("address", &counted),
            text: address.map(|address| address.to_string()),
        })
    }
}

/// The address that API Gateway saw; where there is none before us, what the development server saw.
fn address(parts: &RequestParts) -> Option<IpAddr> {
    if let Some(RequestContext::ApiGatewayV2(context)) = parts.extensions.get::<RequestContext>() {
        return context.http.source_ip.as_deref()?.parse().ok();
    }
    let header = parts.headers.get("x-forwarded-for")?.to_str().ok()?;
    header.split(',').next()?.trim().parse().ok()
}

/// The network that is counted: an IPv4 address, or the 64 bits that an IPv6 customer is given.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_counted_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
