//! Where connections come from, as far as one host can be told from another.

use std::net::{IpAddr, Ipv6Addr};

/// The network part of an IPv6 address: a host usually has a whole /64 to itself (RFC 7934 §6), so counting single
/// addresses would bound nobody.
const NETWORK: u128 = !(u64::MAX as u128);

/// An IPv4 address, or a /64 network of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        // A socket that listens on both families shows IPv4 as `::ffff:192.0.2.1`.
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        })
    }

    pub(super) fn address(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_one_source_in_every_form_of_its_addresses() {
        let source = |address: &str| Source::of(address.parse().unwrap());
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:0:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
    }
}
