//! The namespaces themselves, made and taken away by `ip` of iproute2.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The port that the server listens on.
pub const SERVER_PORT: u16 = 25;
/// One that nobody listens on.
pub(super) const CLOSED_PORT: u16 = 26;

// Addresses of the documentation (RFC 5737, RFC 3849): they exist inside the namespaces only.
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(super) const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// An address whose packets the router drops without a word.
pub(super) fn swallowed(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, number)
}

/// The same of the other family.
pub(super) fn swallowed6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xdead, 0, 0, 0, 0, u16::from(number))
}

/// An address whose packets the router answers with ICMP: no such host.
pub(super) fn unreachable(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, number)
}

/// Namespaces made by this program so far.
static MADE: AtomicU32 = AtomicU32::new(0);
const PREFIX: &str = "postbound-";

/// A client's namespace and a server's, which is also the router to everywhere else. Dropping it takes
/// both away.
#[derive(Debug)]
pub struct Pair {
    client: String,
    server: String,
    /// Whether there is IPv6.
    pub has_v6: bool,
}

/// A program, looked for where programs for administrators are, too.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Runs a command to its end.
///
/// # Errors
/// What it said if it failed.
fn command<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Result<(), String> {
    let output = program(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name} can't be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let arguments: Vec<_> = arguments
        .iter()
        .map(|a| a.as_ref().to_string_lossy())
        .collect();
    Err(format!("{name} {}: {}", arguments.join(" "), said.trim()))
}

/// Runs `ip` with what is between blanks.
pub(super) fn ip(line: &str) -> Result<(), String> {
    command("ip", &line.split(' ').collect::<Vec<_>>())
}

/// Why there can be no namespaces here, if there can't: no rights, no `ip`, a kernel without them.
#[must_use]
pub fn why_not() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("network namespaces are Linux's".to_owned());
    }
    Pair::new().err()
}

/// Takes away what a run that was killed has left behind.
pub fn sweep() {
    let Ok(names) =
        std::fs::read_dir("/run/netns").or_else(|_| std::fs::read_dir("/var/run/netns"))
    else {
        return;
    };
    for name in names.flatten() {
        let name = name.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

impl Pair {
    /// Two namespaces, a cable between them, addresses and routes.
    ///
    /// # Errors
    /// What could not be had. Nothing is left behind.
    pub fn new() -> Result<Self, String> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |end| format!("{PREFIX}{}-{number}-{end}", std::process::id());
        let mut pair = Self {
            client: name("client"),
            server: name("server"),
            has_v6: Path::new("/proc/net/if_inet6").exists(),
        };
        let (client, server) = (pair.client.clone(), pair.server.clone());
        ip(&format!("netns add {client}"))?;
        ip(&format!("netns add {server}"))?;
        ip(&format!(
            "link add cable netns {client} type veth peer name cable netns {server}"
        ))?;
        for (end, address, six) in [(&client, CLIENT, CLIENT6), (&server, SERVER, SERVER6)] {
            ip(&format!("-n {end} addr add {address}/24 dev cable"))?;
            if pair.has_v6 {
                pair.has_v6 = ip(&format!("-n {end} addr add {six}/64 dev cable nodad")).is_ok();
            }
            ip(&format!("-n {end} link set lo up"))?;
            ip(&format!("-n {end} link set cable up"))?;
            // A path that holds about as much as the simulated one.
            pair.setting(end, "net/ipv4/tcp_wmem", "4096 16384 65536")?;
            pair.setting(end, "net/ipv4/tcp_rmem", "4096 16384 65536")?;
        }
        pair.setting(&server, "net/ipv4/ip_forward", "1")?;
        ip(&format!("-n {client} route add default via {SERVER}"))?;
        ip(&format!("-n {server} route add blackhole 198.51.100.0/24"))?;
        ip(&format!("-n {server} route add unreachable 203.0.113.0/24"))?;
        if pair.has_v6 {
            pair.setting(&server, "net/ipv6/conf/all/forwarding", "1")?;
            ip(&format!("-n {client} -6 route add default via {SERVER6}"))?;
            ip(&format!(
                "-n {server} -6 route add blackhole 2001:db8:dead::/48"
            ))?;
        }
        Ok(pair)
    }

    fn setting(&self, end: &str, name: &str, value: &str) -> Result<(), String> {
        let script = format!("echo {value} > /proc/sys/{name}");
        command("ip", &["netns", "exec", end, "sh", "-c", &script])
    }

    /// A program inside a namespace, to be started.
    #[must_use]
    pub(super) fn inside(&self, server: bool, role: &Path) -> Command {
        let mut command = program("ip");
        let end = if server { &self.server } else { &self.client };
        command.args(["netns", "exec", end]).arg(role);
        command
    }

    /// Pulls the cable: nothing gets through any more, and nobody is told.
    pub(super) fn pull(&self) -> Result<(), String> {
        ip(&format!("-n {} link set cable down", self.server))
    }

    /// Loses what the server sends, until it is let through again.
    pub(super) fn swallow_replies(&self) -> Result<(), String> {
        ip(&format!(
            "-n {} route add blackhole {CLIENT}/32",
            self.server
        ))
    }

    pub(super) fn let_through(&self) -> Result<(), String> {
        ip(&format!(
            "-n {} route del blackhole {CLIENT}/32",
            self.server
        ))
    }

    /// Answers the closed port with ICMP in the place of a reset.
    ///
    /// # Errors
    /// If there is no `nft`, or the kernel can't.
    pub(super) fn answer_by_icmp(&self) -> Result<(), String> {
        let rule = format!("tcp dport {CLOSED_PORT} reject with icmp type port-unreachable");
        self.filter(&self.server, "input", &rule)
    }

    /// Loses one packet in ten both ways and makes each wait: by netem, or else by a filter that draws
    /// lots and a bucket that is small.
    ///
    /// # Errors
    /// If the kernel can do neither.
    pub(super) fn lose_and_delay(&self) -> Result<(), String> {
        for end in [&self.client, &self.server] {
            let netem =
                format!("netns exec {end} tc qdisc add dev cable root netem delay 20ms loss 10%");
            if ip(&netem).is_ok() {
                continue;
            }
            self.filter(
                end,
                "input",
                "meta l4proto tcp numgen random mod 100 < 10 drop",
            )?;
            ip(&format!(
                "netns exec {end} tc qdisc add dev cable root tbf rate 512kbit burst 1600 latency 400ms"
            ))?;
        }
        Ok(())
    }

    fn filter(&self, end: &str, hook: &str, rule: &str) -> Result<(), String> {
        let table = format!(
            "table inet faults {{ chain {hook} {{ type filter hook {hook} priority 0; {rule}; }}; }}"
        );
        command("ip", &["netns", "exec", end, "nft", &table])
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // The cable goes with its end; one that was never made is no matter.
        for end in [&self.client, &self.server] {
            let _ = ip(&format!("netns del {end}"));
        }
    }
}
