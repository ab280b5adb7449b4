//! Files that travel with messages. Bytes go to the object store before the row is written: a file without a row is only
//! litter, a row without its file would be a loss.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        media::{Attachment, Media, MessageMedia},
        text::{self, Flaw, Flaws},
    },
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::{AccountId, MediaId, OrganizationId},
    ports::store::Write,
    scope::Scope,
    services::{accounts, unit::Unit},
};

/// The most bytes of one file.
pub const MAX_BYTES: usize = 25 << 20;

/// What a file is whose type nobody told (RFC 2046, 4.5.1).
const OCTETS: &str = "application/octet-stream";

/// A file to keep.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMedia {
    /// Its name, without any path.
    pub name: String,
    /// Its media type; `application/octet-stream` if left out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its bytes; in JSON as base64.
    #[serde(with = "base64_bytes")]
    #[schemars(with = "String")]
    pub data: Bytes,
}

impl fmt::Debug for NewMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMedia").field("name", &self.name).field("bytes", &self.data.len()).finish_non_exhaustive()
    }
}

/// A file as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MediaView {
    /// Its id.
    pub id: MediaId,
    /// Its name.
    pub name: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Its size in bytes.
    pub size: i64,
}

/// A file with its bytes.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MediaContent {
    /// What it is.
    #[serde(flatten)]
    pub info: MediaView,
    /// Its bytes; in JSON as base64.
    #[serde(with = "base64_bytes")]
    #[schemars(with = "String")]
    pub data: Bytes,
}

impl fmt::Debug for MediaContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaContent").field("info", &self.info).finish_non_exhaustive()
    }
}

impl From<Media> for MediaView {
    fn from(media: Media) -> Self {
        Self { id: media.id, name: media.name, media_type: media.media_type, size: media.size }
    }
}

/// What a message shows of a file.
pub(crate) fn shown(media: &Media) -> MessageMedia {
    MessageMedia {
        id: media.id,
        media_type: media.media_type.clone(),
        url: format!("/api/media/{}", media.id),
        size: media.size,
        name: media.name.clone(),
    }
}

fn path(organization: OrganizationId, id: MediaId) -> Path {
    Path::from_iter(["organizations", &organization.to_string(), "media", &id.to_string()])
}

fn store_error(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => {
            Error::new(ErrorKind::NotFound, "the file's bytes are gone from the object store").with_source(error)
        }
        error => Error::unavailable("the object store does not answer").with_source(error),
    }
}

/// Puts an uploaded file's bytes where they stay; its row is written by [`upload`].
pub(crate) async fn keep(engine: &Arc<Engine>, scope: &Scope, new: NewMedia) -> Result<Media> {
    if new.data.len() > MAX_BYTES {
        let message = format!("the file has {} bytes: at most {MAX_BYTES} are kept", new.data.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let mut flaws = Flaws::default();
    let name = flaws.take("/name", text::name(base_name(&new.name)));
    let media_type = flaws.take("/type", new.media_type.as_deref().map_or_else(|| Ok(OCTETS.to_owned()), media_type));
    flaws.end()?;
    let attachment =
        Attachment { name: name.unwrap_or_default(), media_type: media_type.unwrap_or_default(), bytes: new.data };
    put(engine, scope.organization_id, None, attachment).await
}

/// Puts a file that came with a message where it stays. Nothing about a stranger's file is refused; odd names and types
/// are mended.
pub(crate) async fn keep_incoming(
    engine: &Engine,
    organization: OrganizationId,
    account: AccountId,
    file: Attachment,
) -> Result<Media> {
    let file = Attachment {
        name: text::salvage_name(base_name(&file.name)).unwrap_or_else(|| "file".to_owned()),
        media_type: media_type(&file.media_type).unwrap_or_else(|_| OCTETS.to_owned()),
        bytes: file.bytes,
    };
    put(engine, organization, Some(account), file).await
}

async fn put(
    engine: &Engine,
    organization_id: OrganizationId,
    account_id: Option<AccountId>,
    file: Attachment,
) -> Result<Media> {
    let now = engine.env.now();
    let media = Media {
        id: engine.env.id()?,
        organization_id,
        name: file.name,
        media_type: file.media_type,
        size: i64::try_from(file.bytes.len()).unwrap_or(i64::MAX),
        account_id,
        contact_id: None,
        created_at: now,
        used_at: now,
    };
    let payload = PutPayload::from_bytes(file.bytes);
    engine.objects.put(&path(organization_id, media.id), payload).await.map_err(store_error)?;
    Ok(media)
}

/// Writes the row of a kept file.
pub(crate) async fn upload(unit: &mut Unit, media: Media) -> Result<MediaView> {
    unit.note(Write::insert(&media))?;
    Ok(media.into())
}

/// A file that the caller may read: one that only was uploaded, or that messages of a readable account carry.
pub(crate) async fn find(unit: &mut Unit, id: MediaId) -> Result<Media> {
    let missing = || Error::not_found("file", id);
    let media = unit.store().media(unit.organization_id(), id).await?.ok_or_else(missing)?;
    if let Some(account) = media.account_id {
        let account = accounts::find(unit, account).await?;
        if !accounts::may_read(unit, &account).await? {
            return Err(Error::forbidden("the file belongs to a private account's messages"));
        }
    }
    Ok(media)
}

pub(crate) async fn get(unit: &mut Unit, id: MediaId) -> Result<MediaView> {
    find(unit, id).await.map(Into::into)
}

pub(crate) async fn download(unit: &mut Unit, id: MediaId) -> Result<MediaContent> {
    let media = find(unit, id).await?;
    let data = bytes(unit.engine(), &media).await?;
    Ok(MediaContent { info: media.into(), data })
}

/// Removes a file's bytes for good; none are fine.
pub(crate) async fn remove(engine: &Engine, organization: OrganizationId, id: MediaId) -> Result<()> {
    match engine.objects.delete(&path(organization, id)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(store_error(error)),
    }
}

/// A file's bytes.
pub(crate) async fn bytes(engine: &Engine, media: &Media) -> Result<Bytes> {
    let found = engine.objects.get(&path(media.organization_id, media.id)).await.map_err(store_error)?;
    found.bytes().await.map_err(store_error)
}

pub(crate) async fn open(unit: &mut Unit, id: MediaId) -> Result<MediaFile> {
    let media = find(unit, id).await?;
    let path = path(media.organization_id, media.id);
    Ok(MediaFile { path, info: media.into(), objects: unit.engine().objects.clone() })
}

/// A file that may be read, whole or in part.
#[derive(Debug, Clone)]
pub struct MediaFile {
    info: MediaView,
    path: Path,
    objects: Arc<dyn ObjectStore>,
}

impl MediaFile {
    /// What it is.
    pub fn info(&self) -> &MediaView {
        &self.info
    }

    /// Its bytes, or those of a range, piece by piece.
    ///
    /// # Errors
    /// `validation_failed` for a range outside of the file; `unavailable` if the object store does not answer.
    pub async fn stream(&self, range: Option<Range<u64>>) -> Result<BoxStream<'static, Result<Bytes>>> {
        let size = u64::try_from(self.info.size).unwrap_or_default();
        if let Some(range) = &range
            && (range.start >= range.end || range.end > size)
        {
            let detail = format!("{range:?} is no part of the file's {size} bytes");
            return Err(Error::invalid("/range", "out_of_range", detail));
        }
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let found = self.objects.get_opts(&self.path, options).await.map_err(store_error)?;
        Ok(found.into_stream().map_err(store_error).boxed())
    }
}

/// The last part of what may be a path, of whatever system.
fn base_name(name: &str) -> &str {
    name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(name)
}

/// A media type, lower-cased, without parameters: `type/subtype` of restricted names (RFC 6838, 4.2).
fn media_type(text: &str) -> text::Checked<String> {
    let bare = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let restricted = |part: &str| {
        (1..=127).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match bare.split_once('/') {
        Some((kind, subtype)) if restricted(kind) && restricted(subtype) => Ok(bare),
        _ => Err(Flaw::new(
            "invalid",
            format!("{text:?} is no media type: type/subtype is expected, for example image/png"),
        )),
    }
}

/// Bytes as base64 in JSON, and as they are in Rust.
mod base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text.trim()).map(Bytes::from).map_err(|_| D::Error::custom("base64 (RFC 4648, 4) is expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 5.3.2.
    #[test]
    fn a_file_name_loses_its_path() {
        for given in ["report.pdf", "/etc/report.pdf", "C:\\Users\\ada\\report.pdf", "../report.pdf/"] {
            assert_eq!(base_name(given), "report.pdf");
        }
    }

    #[test]
    fn media_types_lose_their_parameters() {
        assert_eq!(media_type("Text/HTML; charset=utf-8").unwrap(), "text/html");
        assert_eq!(media_type("application/vnd.ms-excel").unwrap(), "application/vnd.ms-excel");
        for given in ["", "text", "text/", "/plain", "text/pl ain", "text/a/b", "text/\u{e4}"] {
            assert_eq!(media_type(given).unwrap_err().code, "invalid", "{given}");
        }
    }
}
