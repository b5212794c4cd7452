//! Upload of large files to Hugging Face's storage, by git-lfs' batch protocol.
//!
//! Follows `huggingface_hub/lfs.py`. The storage's addresses are signed: requests to them carry no
//! token.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::client::failure::unexpected;
use crate::client::request::{Body, Header, Redirects, Request};
use crate::error::HubError;
use crate::hugging_face::repository::Repository;
use crate::upload::sending::{Sending, accepted, remedy};
use crate::upload::upload_file::UploadFile;

const LFS_JSON: &str = "application/vnd.git-lfs+json";
/// Files in one request, as in `huggingface_hub/_commit_api.py`.
const BATCH: usize = 256;

#[derive(Deserialize)]
struct BatchAnswer {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    /// Upload steps. None if the storage has the file.
    actions: Option<Actions>,
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    header: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct ObjectError {
    code: u16,
    message: String,
}

/// Uploads the files that the storage lacks.
pub(crate) fn upload(repository: &Repository<'_>, files: &[&UploadFile]) -> Result<(), HubError> {
    // Files with equal content are one object.
    let mut objects = BTreeMap::new();
    for file in files {
        objects.entry(file.sha256()?).or_insert(*file);
    }
    let objects: Vec<_> = objects.into_iter().collect();
    for objects in objects.chunks(BATCH) {
        let files: BTreeMap<_, _> = objects.iter().copied().collect();
        for object in ask(repository, objects)? {
            let Some(file) = files.get(object.oid.as_str()) else {
                return Err(repository.unexpected("a file that was not requested"));
            };
            transfer(repository, file, object)?;
        }
    }
    Ok(())
}

fn ask(
    repository: &Repository<'_>,
    objects: &[(&str, &UploadFile)],
) -> Result<Vec<Object>, HubError> {
    let asked: Vec<_> =
        objects.iter().map(|(oid, file)| json!({"oid": oid, "size": file.size})).collect();
    let question = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "objects": asked,
        "hash_algo": "sha256",
        "ref": {"name": repository.revision},
    });
    let url = format!("{}/{}.git/info/lfs/objects/batch", repository.endpoint, repository.id);
    let response = repository.post(&url, LFS_JSON, question.to_string().as_bytes())?;
    let answer: BatchAnswer = response.json(&repository.display)?;
    if answer.objects.len() < objects.len() {
        return Err(repository.unexpected("an incomplete list of files"));
    }
    Ok(answer.objects)
}

fn transfer(
    repository: &Repository<'_>,
    file: &UploadFile,
    object: Object,
) -> Result<(), HubError> {
    let sending = Sending::new(repository.client, file, &repository.display);
    if let Some(ObjectError { code, message }) = object.error {
        return Err(HubError::UploadRefused {
            place: sending.display,
            host: repository.host(),
            status: code,
            detail: message,
            remedy: remedy(code),
        });
    }
    if let Some(Actions { upload: Some(upload), verify }) = object.actions {
        let href = repository.at_endpoint(&upload.href);
        match upload.header.as_ref().and_then(|header| Some((header, header.get("chunk_size")?))) {
            Some((header, chunk_size)) => {
                let parts = part_urls(header, chunk_size, file.size)
                    .ok_or_else(|| repository.unexpected("addresses that do not match the size"))?;
                put_parts(repository, &sending, parts, &href, &object.oid)?;
            }
            None => {
                let answer = sending.put(repository.client, &href, &[], (0, file.size), true)?;
                accepted(answer, &sending.display)?;
            }
        }
        if let Some(verify) = verify {
            let url = repository.at_endpoint(&verify.href);
            let json = json!({"oid": object.oid, "size": file.size}).to_string();
            repository.post(&url, "application/json", json.as_bytes())?;
        }
    }
    sending.finish()
}

/// Size of a part, and one address for each part.
struct Parts {
    size: u64,
    urls: Vec<String>,
}

/// Parts of a file of `size` bytes. None if the number of addresses does not match.
fn part_urls(header: &Map<String, Value>, chunk_size: &Value, size: u64) -> Option<Parts> {
    let chunk_size = match chunk_size {
        Value::String(text) => text.parse().ok()?,
        number => number.as_u64()?,
    };
    let mut urls = BTreeMap::new();
    for (key, url) in header {
        if let Ok(number) = key.parse::<u64>() {
            urls.insert(number, url.as_str()?.to_owned());
        }
    }
    let urls: Vec<_> = urls.into_values().collect();
    let fits = chunk_size > 0 && urls.len() as u64 == size.div_ceil(chunk_size);
    fits.then_some(Parts { size: chunk_size, urls })
}

fn put_parts(
    repository: &Repository<'_>,
    sending: &Sending<'_>,
    parts: Parts,
    href: &str,
    oid: &str,
) -> Result<(), HubError> {
    let mut etags = Vec::with_capacity(parts.urls.len());
    for (index, url) in parts.urls.iter().enumerate() {
        let start = index as u64 * parts.size;
        let length = parts.size.min(sending.file.size - start);
        let answer = sending.put(repository.client, url, &[], (start, length), true)?;
        let answer = accepted(answer, &sending.display)?;
        let Some(etag) = answer.header("etag").filter(|etag| !etag.is_empty()) else {
            return Err(unexpected(&sending.display, &answer.url, "no ETag for a part".to_owned()));
        };
        etags.push(json!({"partNumber": index + 1, "etag": etag}));
    }
    // This address is signed too.
    let json = json!({"oid": oid, "parts": etags}).to_string();
    let headers: [Header; 2] = [("accept", LFS_JSON.into()), ("content-type", LFS_JSON.into())];
    let mut request = Request::new(Method::POST, href, &sending.display);
    request.headers = &headers;
    request.body = Body::Bytes(json.as_bytes());
    request.redirects = Redirects::Never;
    accepted(repository.client.send(&request)?, &sending.display).map(drop)
}
