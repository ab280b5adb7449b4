//! At the end of the disk: a real one, small and full.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use dealwright::{
    Crm, ErrorKind, Handle,
    env::Env,
    page::PageRequest,
    services::{
        contacts::{ListContacts, NewContact},
        identity::{NewOrganization, NewUser},
    },
    store::sql::{Level, SqlStore, StoreOptions},
};

/// A file system of a few megabytes in memory, gone with the value.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn new(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "a disk is mounted as root, as the mail system is started: sudo -E");
        Self { folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes until nothing but so many bytes fits.
    fn fill_but(&self, left: u64) {
        let mut file = fs::File::options().create(true).append(true).open(self.at("filler")).unwrap();
        for size in [64 * 1024, 4096, 512, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        file.set_len(file.metadata().unwrap().len() - left).unwrap();
    }

    /// Gives the space back.
    fn clear(&self) {
        fs::remove_file(self.at("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once from everybody's sight, in truth when the last file is closed.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

async fn open(file: &Path) -> (Arc<SqlStore>, Crm) {
    let url = format!("sqlite://{}", file.display());
    let store = Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap());
    let crm = Crm::builder().store(store.clone()).build().await.unwrap();
    (store, crm)
}

fn contact(number: usize) -> NewContact {
    NewContact {
        name: format!("Contact {number}"),
        emails: vec![format!("c{number}@acme.example")],
        tags: vec!["a".into(), "b".into()],
        ..Default::default()
    }
}

/// Every contact's name, and that each has its history.
async fn names(me: &Handle, store: &SqlStore) -> Vec<String> {
    use dealwright::ports::store::AutomationReads;
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let input = ListContacts { limit: Some(200), cursor, ..Default::default() };
        let page = me.contacts().list(input).await.unwrap();
        for contact in page.data {
            let events = store.events_of(me.scope().organization_id, contact.id.into(), &PageRequest::default()).await;
            assert_eq!(events.unwrap().data.len(), 1, "{}: half of it is there", contact.name);
            assert_eq!((contact.emails.len(), contact.tags.len()), (1, 2));
            names.push(contact.name);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    names.sort();
    names
}

/// ASVS 16.5.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let disk = SmallDisk::new(24);
    let file = disk.at("crm.db");
    let (store, crm) = open(&file).await;
    let owner = NewUser { email: "una@acme.example".into(), name: "Una".into(), password: None };
    let made = crm.organizations().create(NewOrganization { name: "Acme".into(), owner }).await.unwrap();
    let me = crm.as_user(made.organization.id, made.owner.id).await.unwrap();
    let (mut number, mut refused) = (0, 0);
    let mut kept = Vec::new();
    for round in 0..3 {
        for _ in 0..20 {
            kept.push(me.contacts().create(contact(number)).await.unwrap().name);
            number += 1;
        }
        // Room for none, or for the first of many that share a transaction.
        disk.fill_but(round * 128 * 1024);
        let many = (number..number + 40).map(async |number| me.contacts().create(contact(number)).await);
        let mut outcomes = futures::future::join_all(many).await;
        number += 40;
        // What is left over is used up one by one.
        let mut told = 0;
        while told < 5 {
            outcomes.push(me.contacts().create(contact(number)).await);
            told += i32::from(outcomes.last().is_some_and(Result::is_err));
            number += 1;
        }
        for outcome in outcomes {
            match outcome {
                Ok(contact) => kept.push(contact.name),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                    assert!(error.to_string().contains("disk of the database is full"), "{error}");
                    refused += 1;
                }
            }
        }
        // Reads go on, and see what was answered and nothing else.
        kept.sort();
        assert_eq!(names(&me, &store).await, kept, "round {round}");
        // The loops of the engine live through it as well, whether there is room for their small writes or not.
        if let Err(error) = crm.runtime().drain().await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        }
        disk.clear();
        kept.push(me.contacts().create(contact(number)).await.unwrap().name);
        number += 1;
        crm.runtime().drain().await.unwrap();
    }
    kept.sort();
    assert_eq!(names(&me, &store).await, kept);
    drop((me, crm));
    for finding in store.doctor(&Env::system()).await.unwrap() {
        assert_eq!(finding.level, Level::Fine, "{finding:?}");
    }
    drop(store);
    let (store, crm) = open(&file).await;
    let me = crm.as_user(made.organization.id, made.owner.id).await.unwrap();
    assert_eq!(names(&me, &store).await, kept, "after a new start");
    println!("faults: full disk 3 times, {refused} writes refused, {} kept, 0 lost, 0 halved", kept.len());
}
