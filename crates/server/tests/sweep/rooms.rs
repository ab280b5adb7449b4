//! Rooms of Socket.IO, asked for by a real client with the ids of the other organisation.

use dealwright::services::identity::SignIn;
use dealwright_peers::SocketIoClient;
use dealwright_server::{Options, app};
use serde_json::Value;
use tokio::{net::TcpListener, task::block_in_place};

use crate::support::world::{PASSWORD, World};

/// What came of it: how many rooms of theirs were asked for, which of them were entered, and which of ours were not.
pub struct Entered {
    pub asked: usize,
    pub leaks: Vec<String>,
    pub flaws: Vec<String>,
}

impl World {
    /// Every kind of room, theirs and ours.
    pub async fn rooms(&mut self) -> Entered {
        let email = self.asks.call("members.get", self.ours.owner.to_string().into()).await.unwrap()["email"].clone();
        let sign_in =
            SignIn { email: email.as_str().unwrap().to_owned(), password: PASSWORD.to_owned(), totp_code: None };
        let token = self.crm.identity().sign_in(sign_in).await.unwrap().access_token;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = app(self.crm.clone(), Options::default());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });

        let (account, team, user) =
            (self.theirs.id("account").await, self.theirs.id("team").await, self.theirs.id("user").await);
        let theirs = [
            format!("bd-account-{account}"),
            format!("bd-account-{}", account.to_uppercase()),
            format!("team-{team}"),
            format!("team-{}", team.to_uppercase()),
            format!("org-{}", self.theirs.organization),
            format!("user-{}", self.theirs.owner),
            format!("user-{user}"),
        ];
        let ours =
            [format!("bd-account-{}", self.ours.id("account").await), format!("team-{}", self.ours.id("team").await)];
        let rooms: Vec<&str> = theirs.iter().chain(&ours).map(String::as_str).collect();
        let acks: Vec<Value> = block_in_place(|| {
            let heard = SocketIoClient::node().unwrap().listen(&url, &token, &rooms, None).unwrap();
            let ack = |_: &&str| heard.await_line(|line| line.contains("\"subscribe")).unwrap();
            rooms.iter().map(ack).map(|line| serde_json::from_str(&line).unwrap()).collect()
        });
        serving.abort();
        let (of_theirs, of_ours) = acks.split_at(theirs.len());
        let told = |acks: &[Value], refused: bool| {
            let wrong = acks.iter().filter(|told| (told["ack"]["error"]["code"] == "not_found") != refused);
            wrong.map(|told| format!("subscribe: {told}")).collect()
        };
        Entered { asked: theirs.len(), leaks: told(of_theirs, true), flaws: told(of_ours, false) }
    }
}
