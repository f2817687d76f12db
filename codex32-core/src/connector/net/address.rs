//! What kind of place an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The internet.
    Public,
    /// This machine, the local network, or a range that has no business on the internet.
    Private,
    /// Link-local, metadata services, unspecified, multicast: no bot has business there.
    Never,
}

/// The kind of place that `ip` is. An IPv4 address inside an IPv6 one counts as what it is.
pub(super) fn place(ip: IpAddr) -> Place {
    match ip {
        IpAddr::V4(ip) => place_v4(ip),
        IpAddr::V6(ip) => embedded(ip).map_or_else(|| place_v6(ip), place_v4),
    }
}

/// The same address in its plainest form: IPv4-mapped IPv6 becomes IPv4.
pub(super) fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

fn place_v4(ip: Ipv4Addr) -> Place {
    let [a, b, c, d] = ip.octets();
    match (a, b, c, d) {
        // "This network": Linux connects 0.0.0.0 to the machine itself.
        (0, ..) | (169, 254, ..) => Place::Never,
        // Metadata services of two clouds that do not use a link-local address.
        (100, 100, 100, 200) | (192, 0, 0, 192) => Place::Never,
        (224..=239, ..) | (255, 255, 255, 255) => Place::Never,
        (10 | 127, ..) | (172, 16..=31, ..) | (192, 168, ..) => Place::Private,
        // Carrier-grade NAT, protocol assignments, benchmarks, documentation, reserved.
        (100, 64..=127, ..) | (192, 0, 0 | 2, _) | (198, 18 | 19, ..) => Place::Private,
        (198, 51, 100, _) | (203, 0, 113, _) | (240..=255, ..) => Place::Private,
        _ => Place::Public,
    }
}

fn place_v6(ip: Ipv6Addr) -> Place {
    let s = ip.segments();
    match s[0] {
        _ if ip.is_unspecified() || ip.is_multicast() => Place::Never,
        0xfe80..=0xfebf => Place::Never,
        // The metadata service of a cloud inside its ULA range.
        0xfd00 if s[1] == 0x0ec2 => Place::Never,
        // Teredo tunnels to an IPv4 address of the sender's choice.
        0x2001 if s[1] == 0 => Place::Never,
        _ if ip.is_loopback() => Place::Private,
        // Unique local, the old site-local, documentation, discard.
        0xfc00..=0xfdff | 0xfec0..=0xfeff => Place::Private,
        0x2001 if s[1] == 0x0db8 => Place::Private,
        0x0100 | 0x3fff => Place::Private,
        _ => Place::Public,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, NAT64, 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(of(high, low)),
        // ::ffff:0:a.b.c.d (translated) and ::a.b.c.d (compatible), but neither :: nor ::1.
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(of(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(of(high, low)),
        [0x64, 0xff9b, _, _, _, _, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disguise_of_an_address_is_seen_through() {
        let never = [
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:0:53aa:64c::1",
        ];
        let private = [
            "10.0.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "240.0.0.1",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ];
        let public = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:1.1.1.1"];
        for (list, expected) in [(&never[..], Place::Never), (&private, Place::Private), (&public, Place::Public)] {
            for text in list {
                let ip: IpAddr = text.parse().unwrap();
                assert_eq!(place(ip), expected, "{text}");
            }
        }
    }
}
