//! A server on a real address, with its loops running.

use std::time::Duration;

use dealwright::{
    Crm,
    runtime::Running,
    scope::Role,
    services::identity::{NewUser, SignIn, SignUp, SignedIn},
};
use dealwright_server::{Options, app};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::messenger::Messenger;

pub struct Live {
    pub crm: Crm,
    pub url: String,
    pub messenger: Messenger,
    _running: Running,
}

impl Live {
    pub async fn start() -> Self {
        let messenger = Messenger::default();
        let mut registry = dealwright::Registry::new();
        registry.connector(messenger.clone()).rule_engine(dealwright_rules::declarative::Declarative);
        let crm = Crm::builder().database("sqlite::memory:").registry(registry).build().await.unwrap();
        let running = crm.runtime().start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = app(crm.clone(), Options::default().session_check(Duration::from_millis(50)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { crm, url, messenger, _running: running }
    }

    pub async fn sign_up(&self, name: &str) -> SignedIn {
        let new = SignUp {
            email: format!("{name}@acme.example"),
            password: "correct horse".to_owned(),
            name: name.to_owned(),
            organization_name: Some(format!("{name}'s")),
            invite_token: None,
        };
        self.crm.identity().sign_up(new).await.unwrap()
    }

    /// A new member of somebody's organisation, signed in.
    pub async fn join(&self, owner: &SignedIn, name: &str) -> SignedIn {
        let email = format!("{name}@acme.example");
        let password = "correct horse".to_owned();
        let new = NewUser { email: email.clone(), name: name.to_owned(), password: Some(password.clone()) };
        self.crm.organizations().add_member(owner.organization.id, new, Role::Member).await.unwrap();
        self.crm.identity().sign_in(SignIn { email, password, totp_code: None }).await.unwrap()
    }

    pub async fn call(&self, by: &SignedIn, operation: &str, input: Value) -> Value {
        let handle = self.crm.as_user(by.organization.id, by.user.id).await.unwrap();
        handle.call(operation, input).await.unwrap()
    }

    pub async fn contact(&self, by: &SignedIn, name: &str) -> Value {
        self.call(by, "contacts.create", json!({"name": name})).await["id"].clone()
    }

    pub async fn connect_account(&self, by: &SignedIn, visibility: &str) -> Value {
        let input = json!({"platform": "email", "visibility": visibility});
        self.call(by, "accounts.connect", input).await["account"]["id"].clone()
    }
}
