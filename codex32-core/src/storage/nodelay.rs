//! Sends what is written to a PostgreSQL server at once.
//!
//! sqlx 0.9.0 leaves Nagle's algorithm on (launchbadge/sqlx#4335): the last part of a
//! statement that does not fit a segment waits for an acknowledgement, which the server
//! delays by 40 ms. The driver hands out no socket, so this process asks the kernel for
//! its own. To be removed with the release that has #4336.

/// Switches Nagle's algorithm off on the connections of this process to `port`. A
/// connection on which it stays is slower and works.
#[cfg(target_os = "linux")]
pub(super) fn send_at_once(port: u16) {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags};
    let Ok(process) = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) else { return };
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.flatten().filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        target.to_str()?.starts_with("socket:").then(|| entry.file_name().to_str()?.parse().ok())?
    });
    for number in numbers {
        let Ok(socket) = rustix::process::pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else { continue };
        if peer_port(&socket) == Some(port) {
            let _ = rustix::net::sockopt::set_tcp_nodelay(&socket, true);
        }
    }
}

#[cfg(target_os = "linux")]
fn peer_port(socket: &std::os::fd::OwnedFd) -> Option<u16> {
    let peer = rustix::net::getpeername(socket).ok()??;
    std::net::SocketAddr::try_from(peer).ok().map(|peer| peer.port())
}

/// The delay stays.
#[cfg(not(target_os = "linux"))]
pub(super) fn send_at_once(_port: u16) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_connections_to_the_server_are_changed() {
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (server, other) = (listen(), listen());
        let port = server.local_addr().unwrap().port();
        let to =
            |listener: &std::net::TcpListener| std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, theirs) = (to(&server), to(&other));
        assert!(!ours.nodelay().unwrap());
        send_at_once(port);
        assert!(ours.nodelay().unwrap());
        assert!(!theirs.nodelay().unwrap());
    }
}
