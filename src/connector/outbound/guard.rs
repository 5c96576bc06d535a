//! Which addresses may be called at all. Pure.
//!
//! A base URL comes from configuration, but names resolve to whatever DNS says and pages
//! link to whatever they like. So the address is judged twice: as written, and as resolved.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use url::{Host, Url};

/// Why an address may not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    #[error("`{0}` is not an address")]
    NotAUrl(String),
    #[error(
        "`{0}` is no mail server: write it like `smtp://mail.example.com:587` or `smtps://…:465`"
    )]
    NotAMailServer(String),
    #[error("an address holds no user name")]
    UserInfo,
    #[error("plain HTTP goes to loopback only, not to `{0}`")]
    Plain(String),
    #[error("`{0}` gives out credentials of this machine and is never called")]
    Metadata(String),
    #[error("`{0}` is not public: if that is meant, add its network to `allow_networks`")]
    Private(String),
}

/// The rule of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    allowed: Arc<[IpNet]>,
}

impl Guard {
    pub(crate) fn new(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.into() }
    }

    /// Judges an address as written.
    pub(crate) fn url(&self, url: &str) -> Result<Url, Refusal> {
        let parsed = Url::parse(url).map_err(|_| Refusal::NotAUrl(short(url)))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let host = parsed.host().ok_or_else(|| Refusal::NotAUrl(short(url)))?;
        match parsed.scheme() {
            "https" => {}
            "http" if loopback(&host) => {}
            "http" => return Err(Refusal::Plain(host.to_string())),
            _ => return Err(Refusal::NotAUrl(short(url))),
        }
        match host {
            Host::Ipv4(ip) => self.ip(IpAddr::V4(ip))?,
            Host::Ipv6(ip) => self.ip(IpAddr::V6(ip))?,
            Host::Domain(name) => Self::name(name)?,
        }
        Ok(parsed)
    }

    /// Judges a mail server's address as written: `smtp` (STARTTLS) or `smtps`.
    pub(crate) fn mail(&self, url: &str) -> Result<Url, Refusal> {
        let parsed = Url::parse(url).map_err(|_| Refusal::NotAUrl(short(url)))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let host = parsed.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Refusal::NotAUrl(short(url)))?;
        if !matches!(parsed.scheme(), "smtp" | "smtps") {
            return Err(Refusal::NotAMailServer(short(url)));
        }
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.ip(ip)?,
            Err(_) => Self::name(host)?,
        }
        Ok(parsed)
    }

    /// Judges an address as resolved.
    pub(crate) fn ip(&self, ip: IpAddr) -> Result<(), Refusal> {
        let ip = plain(ip);
        if metadata(ip) {
            return Err(Refusal::Metadata(ip.to_string()));
        }
        if public(ip) || self.allowed.iter().any(|network| network.contains(&ip)) {
            Ok(())
        } else {
            Err(Refusal::Private(ip.to_string()))
        }
    }

    fn name(name: &str) -> Result<(), Refusal> {
        let name = name.trim_end_matches('.').to_lowercase();
        if ["metadata.google.internal", "metadata", "instance-data"].contains(&name.as_str()) {
            return Err(Refusal::Metadata(name));
        }
        Ok(())
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

fn loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// The IPv4 address inside an IPv6 one, for every form that carries one.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let inner = match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return ip,
        // Mapped, compatible, NAT64 and 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, hi, lo]
        | [0x64, 0xff9b, 0, 0, 0, 0, hi, lo]
        | [0x2002, hi, lo, ..] => u32::from(hi) << 16 | u32::from(lo),
        _ => return ip,
    };
    IpAddr::V4(Ipv4Addr::from_bits(inner))
}

fn metadata(ip: IpAddr) -> bool {
    const AWS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        // The whole link-local range of IPv4 belongs to metadata services and broken DHCP.
        IpAddr::V4(v4) => v4.is_link_local() || v4 == Ipv4Addr::new(100, 100, 100, 200),
        IpAddr::V6(v6) => v6 == AWS_V6,
    }
}

fn public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(a == 0
                || a >= 224
                || ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_documentation()
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(ip) => {
            let s = ip.segments();
            // Global unicast is 2000::/3; of it, documentation, Teredo and ORCHID are not hosts.
            (s[0] & 0xe000) == 0x2000
                && !(s[0] == 0x2001 && (s[1] == 0x0db8 || s[1] < 0x0200))
                && !(s[0] == 0x3fff && s[1] < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(networks: &[&str]) -> Guard {
        let networks: Vec<IpNet> = networks.iter().map(|n| n.parse().unwrap()).collect();
        Guard::new(&networks)
    }

    #[test]
    fn public_addresses_pass() {
        for url in
            ["https://graph.microsoft.com/v1.0", "https://8.8.8.8/", "https://[2606:4700::1]/"]
        {
            assert!(guard(&[]).url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn inner_addresses_are_refused_in_every_spelling() {
        for url in [
            "https://10.0.0.1/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
            "https://[fd00::1]/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "http://example.com/",
            "https://user@example.com/",
            "ftp://example.com/",
            "https:///",
        ] {
            assert!(guard(&[]).url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn metadata_services_are_refused_even_when_everything_is_allowed() {
        let all = guard(&["0.0.0.0/0", "::/0"]);
        for url in [
            "https://169.254.169.254/latest",
            "https://[::ffff:169.254.169.254]/",
            "https://[fd00:ec2::254]/",
            "https://100.100.100.200/",
            "https://metadata.google.internal./",
        ] {
            assert!(matches!(all.url(url), Err(Refusal::Metadata(_))), "{url}");
        }
    }

    #[test]
    fn a_mail_server_passes_the_same_rules() {
        assert!(guard(&[]).mail("smtp://mail.example.com:587").is_ok());
        assert!(guard(&["10.1.0.0/16"]).mail("smtps://10.1.2.3:465").is_ok());
        for url in [
            "smtp://10.0.0.1",
            "smtp://[::1]:25",
            "smtp://169.254.169.254",
            "smtp://metadata.google.internal",
            "smtp://user@mail.example.com",
            "https://mail.example.com",
            "smtp:",
        ] {
            assert!(guard(&[]).mail(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_private_network_is_called_when_the_connection_admits_it() {
        let lab = guard(&["127.0.0.0/8", "10.1.0.0/16"]);

        assert!(lab.url("http://127.0.0.1:8080/x").is_ok());
        assert!(lab.url("https://10.1.2.3/").is_ok());
        assert!(lab.url("https://10.2.2.3/").is_err());
        assert!(matches!(lab.url("http://10.1.2.3/"), Err(Refusal::Plain(_))));
    }
}
