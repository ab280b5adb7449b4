//! A store with one organisation in it, its members, its standard pipeline, and a clock that stands still.

use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone, Utc};
use dealwright::{
    Crm, CrmBuilder, Error, ErrorKind, Handle, Registry, Result,
    domain::{
        contact::Contact,
        event::{Event, Subject},
        pipeline::{Stage, StageMove},
    },
    env::{Env, ManualClock},
    id::{ContactId, OrganizationId, PipelineId, StageId, UserId},
    page::PageRequest,
    ports::store::AutomationReads,
    scope::Role,
    services::{
        contacts::{ListHistory, MoveContact, NewContact},
        identity::{NewOrganization, NewUser},
        pipeline::PipelineView,
    },
    store::sql::{SqlStore, StoreOptions, migrate},
};

use super::Database;

pub struct World {
    pub crm: Crm,
    pub store: Arc<SqlStore>,
    pub env: Env,
    pub clock: ManualClock,
    pub organization: OrganizationId,
    pub una: UserId,
    /// Where the database is.
    pub url: String,
    /// The owner's handle.
    pub me: Handle,
    /// The pipeline that every organisation begins with.
    pub sales: PipelineView,
}

pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
}

/// The URL of an empty database.
pub async fn fresh(database: Database) -> String {
    match database {
        Database::Sqlite => "sqlite::memory:".to_owned(),
        Database::Postgres => {
            let urls = dealwright_peers::shared_postgres().unwrap().fresh_database("crm").unwrap();
            migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
            urls.app
        }
    }
}

impl World {
    pub async fn new(database: Database, registry: Registry) -> Self {
        Self::over(&fresh(database).await, |builder| builder.registry(registry)).await
    }

    /// A world in an empty database, whose engine is given more.
    pub async fn over(url: &str, give: impl FnOnce(CrmBuilder) -> CrmBuilder) -> Self {
        let store = Arc::new(SqlStore::open(url, StoreOptions::default()).await.unwrap());
        let clock = ManualClock::at(noon());
        let env = Env::system().with_clock(clock.clone());
        let builder = Crm::builder().store(store.clone()).env(env.clone());
        let crm = give(builder).build().await.unwrap();
        let (organization, una) = organization(&crm, "Acme").await;
        let me = crm.as_user(organization, una).await.unwrap();
        let sales = me.pipelines().list(PageRequest::default()).await.unwrap().data.remove(0);
        Self { crm, store, env, clock, organization, una, url: url.to_owned(), me, sales }
    }

    /// Lets the audit log be rewritten, as whoever can write the whole database may: the engine's role is not let on
    /// PostgreSQL.
    pub fn let_log_be_rewritten(&self) {
        let Some((_, database)) = self.url.rsplit_once('/').filter(|_| self.url.starts_with("postgres")) else {
            return;
        };
        let server = dealwright_peers::shared_postgres().unwrap();
        let (server, _) = server.superuser().rsplit_once('/').unwrap();
        let grant = "GRANT UPDATE, DELETE ON audit_entries TO crm_app";
        dealwright_peers::psql(&format!("{server}/{database}"), grant).unwrap();
    }

    /// A further member.
    pub async fn member(&self, name: &str, role: Role) -> (UserId, Handle) {
        let member = self.crm.organizations().add_member(self.organization, person(name), role).await.unwrap();
        (member.user_id, self.crm.as_user(self.organization, member.user_id).await.unwrap())
    }

    /// Another organisation in the same database.
    pub async fn other_organization(&self) -> (OrganizationId, Handle) {
        let (organization, owner) = organization(&self.crm, "Globex").await;
        (organization, self.crm.as_user(organization, owner).await.unwrap())
    }

    pub fn later(&self, seconds: i64) {
        self.clock.advance(Duration::seconds(seconds));
    }

    pub fn stage(&self, name: &str) -> Stage {
        self.sales.stages.iter().find(|stage| stage.name == name).unwrap().clone()
    }

    pub async fn contact(&self, name: &str) -> Contact {
        self.later(1);
        self.me.contacts().create(NewContact { name: name.to_owned(), ..Default::default() }).await.unwrap()
    }

    pub async fn contact_with_email(&self, name: &str, email: &str) -> Result<Contact> {
        self.later(1);
        let new = NewContact { name: name.to_owned(), emails: vec![email.to_owned()], ..Default::default() };
        self.me.contacts().create(new).await
    }

    pub async fn go(&self, contact: ContactId, stage: StageId) -> Contact {
        self.later(1);
        self.me
            .contacts()
            .move_to(MoveContact { contact_id: contact, stage_id: stage, reason: None, if_version: None })
            .await
            .unwrap()
    }

    /// A contact's moves, oldest first.
    pub async fn history(&self, contact: ContactId) -> Vec<StageMove> {
        let input = ListHistory { contact_id: contact, limit: Some(200), cursor: None };
        let mut moves = self.me.contacts().history(input).await.unwrap().data;
        moves.reverse();
        moves
    }

    /// The events of a subject, oldest first.
    pub async fn events(&self, subject: impl Into<Subject>) -> Vec<Event> {
        let page = PageRequest { limit: Some(200), cursor: None };
        let mut events = self.store.events_of(self.organization, subject.into(), &page).await.unwrap().data;
        events.reverse();
        events
    }

    pub async fn pipeline(&self, id: PipelineId) -> PipelineView {
        self.me.pipelines().get(id).await.unwrap()
    }

    /// The names of a pipeline's stages in their order; fails unless their places have no holes.
    pub async fn stage_names(&self, id: PipelineId) -> Vec<String> {
        let stages = self.pipeline(id).await.stages;
        let places: Vec<_> = stages.iter().map(|stage| stage.order_index).collect();
        assert_eq!(places, (0..stages.len() as i64).collect::<Vec<_>>(), "{stages:?}");
        stages.into_iter().map(|stage| stage.name).collect()
    }
}

fn person(name: &str) -> NewUser {
    NewUser { email: format!("{name}@people.example"), name: name.to_owned(), password: None }
}

async fn organization(crm: &Crm, name: &str) -> (OrganizationId, UserId) {
    let new = NewOrganization { name: name.to_owned(), owner: person(&format!("owner-of-{name}")) };
    let made = crm.organizations().create(new).await.unwrap();
    (made.organization.id, made.owner.id)
}

/// The code and status of an error.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T>, status: u16, code: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!((error.kind().status(), error.code()), (status, code), "{error}");
    error
}

/// The pointers of a failed validation.
#[track_caller]
pub fn pointers<T: std::fmt::Debug>(result: Result<T>) -> Vec<(String, String)> {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.fields().iter().map(|field| (field.pointer.clone(), field.code.to_string())).collect()
}
