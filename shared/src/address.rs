//! Which addresses may be called on the word of somebody else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use crate::models::builder;

/// The name leads to no public address.
#[derive(Debug, thiserror::Error)]
#[error("it has no public address")]
pub(crate) struct NotPublic;

/// Whether the address is one of the public internet: nothing of the special-purpose registries (RFC 6890), and no IPv6 form
/// of an IPv4 address that is not public itself.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast();
    !special
        && !matches!(
            ip.octets(),
            [0, ..]
                | [100, 64..=127, ..]
                | [192, 0, 0, _]
                | [192, 88, 99, _]
                | [198, 18..=19, ..]
                | [240..=255, ..]
        )
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match ip.segments() {
        // NAT64 (RFC 6052): the IPv4 address is in the last 32 bits.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments and Teredo, documentation, 6to4, documentation again.
        [0x2001, 0..=0x01ff, ..]
        | [0x2001, 0x0db8, ..]
        | [0x2002, ..]
        | [0x3fff, ..=0x0fff, ..] => false,
        // Of all the rest only global unicast is given out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Whether a connection to the host may be tried. A literal address never reaches the resolver; a name is judged by [`PublicOnly`].
pub(crate) fn may_be_public(host: &Host<&str>) -> bool {
    match *host {
        Host::Domain(_) => true,
        Host::Ipv4(ip) => is_public(ip.into()),
        Host::Ipv6(ip) => is_public(ip.into()),
    }
}

/// Connects by TLS and to public addresses alone. Made at its first use: loading the certificates again would slow every start.
#[derive(Clone, Default)]
pub(crate) struct PublicClient(Arc<OnceLock<Client>>);

impl PublicClient {
    /// The client, for hosts that [`may_be_public`].
    pub(crate) fn get(&self) -> Result<&Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let made = builder()
            .https_only(true)
            .dns_resolver(PublicOnly)
            .build()?;
        Ok(self.0.get_or_init(|| made))
    }
}

/// Resolves a name to its public addresses only. The connection is made to what it answers, so a name cannot change its mind
/// between check and use.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|addr| is_public(addr.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for ip in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
