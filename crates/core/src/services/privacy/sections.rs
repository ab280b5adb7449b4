//! Everything that is held about a person, section by section, page by page.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        audit::AuditEntry, chat::Chat, contact::Contact, deal::Deal, event::Event, event::Subject, media::Media,
        message::Message, note::Note, notification::Notification, pipeline::StageMove, run::Run, task::Task,
        word::words,
    },
    error::{Error, Result},
    id::{ContactId, DealId},
    page::{Page, PageRequest},
    ports::store::{AuditFilter, ChatFilter, RunFilter},
    services::unit::Unit,
};

words! {
    /// One kind of what is held about a person.
    Section {
        /// The contact itself: names, addresses, handles, custom fields, ids in other systems.
        Contact = "contact",
        /// Their deals, deleted ones too.
        Deals = "deals",
        /// Chats with them.
        Chats = "chats",
        /// Messages from and to them, those that still wait among them.
        Messages = "messages",
        /// Files that came from them, or went to nobody else.
        Files = "files",
        /// Moves of them and of their deals.
        History = "stage_history",
        /// Notes on them and on their deals.
        Notes = "notes",
        /// Tasks for them and for their deals.
        Tasks = "tasks",
        /// What has happened, to them and to their deals.
        Events = "events",
        /// Runs of rules on them and on their deals.
        Runs = "runs",
        /// What members were notified of about them and their deals.
        Notifications = "notifications",
        /// Entries of the audit log about them and their deals.
        Audit = "audit",
    }
}

impl Section {
    /// Whether each deal has a part in it of its own.
    const fn is_of_deals(self) -> bool {
        matches!(
            self,
            Self::History | Self::Notes | Self::Tasks | Self::Events | Self::Runs | Self::Notifications | Self::Audit
        )
    }

    pub(super) fn following(self) -> Option<Self> {
        Self::ALL.iter().skip_while(|it| **it != self).nth(1).copied()
    }
}

/// How far the walk is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) section: Section,
    /// The deal whose part of the section it is; the contact's own without one.
    deal: Option<DealId>,
    /// Where the deals after it begin.
    deals: Option<String>,
    cursor: Option<String>,
}

impl Place {
    pub(super) const FIRST: Self = Self::of(Section::Contact);

    const fn of(section: Section) -> Self {
        Self { section, deal: None, deals: None, cursor: None }
    }

    /// The next page of the same rows.
    pub(super) fn page(&self, limit: u32) -> PageRequest {
        PageRequest { limit: Some(limit), cursor: self.cursor.clone() }
    }
}

/// A page of a section.
pub(super) enum Held {
    Contact(Box<Contact>),
    Deals(Vec<Deal>),
    Chats(Vec<Chat>),
    Messages(Vec<Message>),
    Files(Vec<Media>),
    History(Vec<StageMove>),
    Notes(Vec<Note>),
    Tasks(Vec<Task>),
    Events(Vec<Event>),
    Runs(Vec<Run>),
    Notifications(Vec<Notification>),
    Audit(Vec<AuditEntry>),
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Contact(_) => false,
            Self::Deals(all) => all.is_empty(),
            Self::Chats(all) => all.is_empty(),
            Self::Messages(all) => all.is_empty(),
            Self::Files(all) => all.is_empty(),
            Self::History(all) => all.is_empty(),
            Self::Notes(all) => all.is_empty(),
            Self::Tasks(all) => all.is_empty(),
            Self::Events(all) => all.is_empty(),
            Self::Runs(all) => all.is_empty(),
            Self::Notifications(all) => all.is_empty(),
            Self::Audit(all) => all.is_empty(),
        }
    }
}

/// What is held at a place, and where it goes on.
pub(super) async fn piece(unit: &Unit, contact: &Contact, place: &Place, limit: u32) -> Result<(Held, Option<Place>)> {
    let (held, cursor) = look(unit, contact, place, limit).await?;
    let next = match cursor {
        Some(cursor) => Some(Place { cursor: Some(cursor), ..place.clone() }),
        None => match next_deal(unit, contact.id, place).await? {
            Some(next) => Some(next),
            None => place.section.following().map(Place::of),
        },
    };
    Ok((held, next))
}

/// The same section of the next deal, if it has parts of deals and there is one.
async fn next_deal(unit: &Unit, contact: ContactId, place: &Place) -> Result<Option<Place>> {
    let was_last = place.deal.is_some() && place.deals.is_none();
    if was_last || !place.section.is_of_deals() {
        return Ok(None);
    }
    let page = PageRequest { limit: Some(1), cursor: place.deals.clone() };
    let mut page = unit.store().deals_of(unit.organization_id(), contact, &page).await?;
    let deal = page.data.pop();
    Ok(deal.map(|deal| Place { deal: Some(deal.id), deals: page.next_cursor, ..Place::of(place.section) }))
}

fn parted<T>(page: Page<T>, held: fn(Vec<T>) -> Held) -> (Held, Option<String>) {
    (held(page.data), page.next_cursor)
}

async fn look(unit: &Unit, contact: &Contact, place: &Place, limit: u32) -> Result<(Held, Option<String>)> {
    let (store, organization, id) = (unit.store(), unit.organization_id(), contact.id);
    let page = place.page(limit);
    Ok(match place.section {
        Section::Contact => (Held::Contact(Box::new(contact.clone())), None),
        Section::Deals => parted(store.deals_of(organization, id, &page).await?, Held::Deals),
        Section::Chats => {
            let filter = ChatFilter { contact_id: Some(id), ..ChatFilter::default() };
            let found = store.inbox(organization, &filter, &page).await?;
            parted(found.map(|row| row.chat), Held::Chats)
        }
        Section::Messages => parted(store.messages_with(organization, id, &page).await?, Held::Messages),
        Section::Files => parted(store.files_of(organization, id, &page).await?, Held::Files),
        section => {
            let subject = place.deal.map_or_else(|| id.into(), Subject::from);
            // What is about the contact too was among the contact's own.
            return about(unit, section, subject, place.deal.map(|_| id), &page).await;
        }
    })
}

/// A page of what there is about a contact, a deal or a company, without what is `beside`'s too.
pub(super) async fn about(
    unit: &Unit,
    section: Section,
    subject: Subject,
    beside: Option<ContactId>,
    page: &PageRequest,
) -> Result<(Held, Option<String>)> {
    let (store, organization) = (unit.store(), unit.organization_id());
    let is_own = |of: Option<ContactId>| beside.is_none() || of != beside;
    Ok(match section {
        Section::Contact | Section::Deals | Section::Chats | Section::Messages | Section::Files => {
            return Err(Error::internal(format!("{section} is nothing that is about a subject")));
        }
        Section::History => parted(store.stage_history(organization, subject, page).await?, Held::History),
        Section::Notes => parted(store.notes(organization, subject, page).await?, Held::Notes),
        Section::Tasks => parted(store.tasks_for(organization, subject, page).await?, Held::Tasks),
        Section::Events => parted(store.events_of(organization, subject, page).await?, Held::Events),
        Section::Runs => {
            let filter = RunFilter { contact_id: subject.contact(), deal_id: subject.deal(), ..RunFilter::default() };
            let mut found = store.runs(organization, &filter, page).await?;
            found.data.retain(|run| is_own(run.contact_id));
            parted(found, Held::Runs)
        }
        Section::Notifications => {
            let mut found = store.notifications_about(organization, subject, page).await?;
            found.data.retain(|notification| is_own(notification.contact_id));
            parted(found, Held::Notifications)
        }
        Section::Audit => {
            let filter = AuditFilter { object_id: Some(subject.id), ..AuditFilter::default() };
            parted(store.audit_entries(organization, &filter, page).await?, Held::Audit)
        }
    })
}
