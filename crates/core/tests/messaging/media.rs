//! Files that travel with messages, both ways.

use bytes::Bytes;
use dealwright::{
    domain::{media::Attachment, message::MessageStatus},
    ports::connector::{Capabilities, Incoming},
    scope::Role,
    services::{
        media::{MAX_BYTES, NewMedia},
        messaging::{MediaRef, SendMessage},
    },
    testkit::provider::Provider,
};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use crate::{
    harness::cases,
    world::{World, noon, note, pointers, refused},
};

cases![
    files_that_come_with_a_message_are_kept,
    odd_names_and_types_of_strangers_files_are_mended,
    a_message_that_comes_twice_keeps_its_files_once,
    an_uploaded_file_goes_out_with_a_message,
    a_file_that_is_too_large_or_nameless_is_refused,
    unknown_files_are_refused_by_their_place,
    too_many_files_are_refused,
    a_platform_without_files_says_so,
    a_file_is_read_in_part,
    a_file_whose_bytes_are_gone_fails_its_message,
];

fn file(name: &str, media_type: &str, bytes: &'static [u8]) -> Attachment {
    Attachment { name: name.into(), media_type: media_type.into(), bytes: Bytes::from_static(bytes) }
}

fn with_files(id: &str, media: Vec<Attachment>) -> Incoming {
    Incoming { media, ..note(id, noon()) }
}

fn new(name: &str, data: &'static [u8]) -> NewMedia {
    NewMedia { name: name.into(), media_type: Some("text/plain".into()), data: Bytes::from_static(data) }
}

async fn objects(world: &World) -> usize {
    use object_store::ObjectStore;
    world.objects().list(None).try_collect::<Vec<_>>().await.unwrap().len()
}

async fn files_that_come_with_a_message_are_kept(world: World) {
    let files = vec![file("a.txt", "text/plain", b"alpha"), file("b.png", "image/png", b"beta")];
    world.receive([with_files("1", files)]).await.unwrap();
    let message = world.messages(world.chats().await[0].chat_id).await.remove(0);
    let media = message.content.unwrap().media;
    let shown: Vec<_> = media.iter().map(|it| (&*it.name, &*it.media_type, it.size)).collect();
    assert_eq!(shown, [("a.txt", "text/plain", 5), ("b.png", "image/png", 4)]);
    assert_eq!(media[0].url, format!("/api/media/{}", media[0].id));
    let content = world.me.media().download(media[1].id).await.unwrap();
    assert_eq!((&*content.data, &*content.info.name), (&b"beta"[..], "b.png"));
}

/// ASVS 5.4.2.
async fn odd_names_and_types_of_strangers_files_are_mended(world: World) {
    let files = vec![
        file("C:\\temp\\../evil.exe\u{0}", "Text/HTML; charset=x", b"1"),
        file("", "nonsense", b""),
        file("/", "", b"3"),
    ];
    world.receive([with_files("1", files)]).await.unwrap();
    let message = world.messages(world.chats().await[0].chat_id).await.remove(0);
    let media = message.content.unwrap().media;
    let shown: Vec<_> = media.iter().map(|it| (&*it.name, &*it.media_type, it.size)).collect();
    let octets = "application/octet-stream";
    assert_eq!(shown, [("evil.exe", "text/html", 1), ("file", octets, 0), ("file", octets, 1)]);
}

async fn a_message_that_comes_twice_keeps_its_files_once(world: World) {
    let message = with_files("1", vec![file("a.txt", "text/plain", b"alpha")]);
    world.receive([message.clone()]).await.unwrap();
    world.receive([message.clone(), note("2", noon())]).await.unwrap();
    assert_eq!((objects(&world).await, world.texts(world.chats().await[0].chat_id).await.len()), (1, 2));
}

async fn an_uploaded_file_goes_out_with_a_message(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let kept = world.me.media().upload(new("offer.txt", b"42")).await.unwrap();
    // A file may stand for the text.
    let input = SendMessage { chat_id: Some(chat), media: vec![MediaRef { id: kept.id }], ..Default::default() };
    let sent = world.me.messages().send(input).await.unwrap();
    world.drain().await;
    assert_eq!(world.provider.outgoing()[0].media, [file("offer.txt", "text/plain", b"42")]);
    let media = world.message(sent.id).await.content.unwrap().media;
    assert_eq!(media.iter().map(|it| it.id).collect::<Vec<_>>(), [kept.id]);
}

/// ASVS 5.2.1.
async fn a_file_that_is_too_large_or_nameless_is_refused(world: World) {
    let large = NewMedia { data: vec![0; MAX_BYTES + 1].into(), ..new("a.bin", b"") };
    refused(world.me.media().upload(large).await, 413, "too_large");
    let odd = NewMedia { media_type: Some("nonsense".into()), ..new("/", b"") };
    let found = pointers(world.me.media().upload(odd).await);
    assert_eq!(found.iter().map(|it| &*it.0).collect::<Vec<_>>(), ["/name", "/type"]);
    let (_, viewer) = world.member("vera", Role::Viewer).await;
    refused(viewer.media().upload(new("a.txt", b"1")).await, 403, "forbidden");
    assert_eq!(objects(&world).await, 0);
}

async fn unknown_files_are_refused_by_their_place(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let (_, stranger) = world.other_organization().await;
    let theirs = stranger.media().upload(new("a.txt", b"1")).await.unwrap().id;
    let mine = world.me.media().upload(new("a.txt", b"1")).await.unwrap().id;
    let media = vec![MediaRef { id: mine }, MediaRef { id: theirs }];
    let input = SendMessage { chat_id: Some(chat), text: "See".into(), media, ..Default::default() };
    let found = pointers(world.me.messages().send(input).await);
    assert_eq!(found, [("/media/1/id".to_owned(), "unknown".to_owned())]);
    refused(world.me.media().get(theirs).await, 404, "not_found");
    refused(world.me.media().download(theirs).await, 404, "not_found");
}

async fn too_many_files_are_refused(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let id = world.me.media().upload(new("a.txt", b"1")).await.unwrap().id;
    let input = SendMessage { chat_id: Some(chat), media: vec![MediaRef { id }; 21], ..Default::default() };
    assert_eq!(pointers(world.me.messages().send(input).await), [("/media".to_owned(), "too_many".to_owned())]);
    // Not too many, but too much.
    let half = NewMedia { data: vec![0; 13 << 20].into(), ..new("half.bin", b"") };
    let id = world.me.media().upload(half).await.unwrap().id;
    let input = SendMessage { chat_id: Some(chat), media: vec![MediaRef { id }; 2], ..Default::default() };
    assert_eq!(pointers(world.me.messages().send(input).await), [("/media".to_owned(), "too_large".to_owned())]);
}

async fn a_platform_without_files_says_so(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let id = world.me.media().upload(new("a.txt", b"1")).await.unwrap().id;
    let plain = Provider::new("email").with_capabilities(Capabilities { send: true, ..Default::default() });
    let crm = world.engine_with(&plain).await;
    let me = crm.as_user(world.organization, world.una).await.unwrap();
    let input = SendMessage { chat_id: Some(chat), media: vec![MediaRef { id }], ..Default::default() };
    refused(me.messages().send(input).await, 501, "unsupported");
}

async fn a_file_is_read_in_part(world: World) {
    let id = world.me.media().upload(new("a.txt", b"0123456789")).await.unwrap().id;
    let file = world.me.media().open(id).await.unwrap();
    for (range, wanted) in [(None, &b"0123456789"[..]), (Some(3..6), b"345"), (Some(9..10), b"9")] {
        let pieces: Vec<_> = file.stream(range).await.unwrap().try_collect().await.unwrap();
        assert_eq!(pieces.concat(), wanted);
    }
    for range in [3..3, 5..11, 10..11] {
        assert_eq!(pointers(file.stream(Some(range)).await.map(drop))[0].0, "/range");
    }
}

async fn a_file_whose_bytes_are_gone_fails_its_message(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let id = world.me.media().upload(new("a.txt", b"1")).await.unwrap().id;
    let input = SendMessage { chat_id: Some(chat), media: vec![MediaRef { id }], ..Default::default() };
    let message = world.me.messages().send(input).await.unwrap();
    let path = format!("organizations/{}/media/{id}", world.organization);
    world.objects().delete(&path.into()).await.unwrap();
    world.drain().await;
    let failed = world.message(message.id).await;
    assert_eq!(failed.status, MessageStatus::Failed);
    assert!(failed.error.unwrap().contains("gone"));
    assert!(world.provider.outgoing().is_empty());
}
