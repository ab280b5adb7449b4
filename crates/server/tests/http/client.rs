//! From where a request comes (OWASP ASVS 5.0, 4.1.3: headers of proxies are no one's to set but the proxies').

use crate::server::Server;

#[tokio::test]
async fn a_router_without_addresses_answers_all_the_same() {
    let server = Server::start().await;
    for forwarded in ["198.51.100.7", "unknown", "<script>", "x".repeat(5000).as_str()] {
        let reply = server.call("GET", "/healthz").header("x-forwarded-for", forwarded).send().await;
        assert_eq!(reply.status, 200, "{forwarded}");
    }
}
