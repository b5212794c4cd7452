//! Hugging Face's own Python client uploads to the same server in the same way. Needs its Python.

use super::{HF, transformers_preset, upload_folder};
use crate::fakes::clients::{self, kinds};
use crate::fakes::upload_hugging_face::{FakeHuggingFace, ID};

#[test]
fn huggingface_hub_uploads_to_the_same_server_the_same_way() {
    for part_size in [None, Some(1000)] {
        let (theirs, ours) = (FakeHuggingFace::start(), FakeHuggingFace::start());
        theirs.state().part_size = part_size;
        ours.state().part_size = part_size;
        let folder = transformers_preset();
        if !clients::upload("huggingface_hub", &theirs.hub.url, ID, folder.path()) {
            return;
        }
        ours.upload(&folder).unwrap();
        let (mut uploaded, expected) = (ours.main(), theirs.main());
        uploaded.remove("README.md");
        assert_eq!(uploaded, expected);
        assert_eq!(kinds(ours.storage.asked()), kinds(theirs.storage.asked()));
        assert_eq!(kinds(ours.hub.asked()), kinds(theirs.hub.asked()));
        // Files that one client has uploaded are not uploaded again by the other.
        upload_folder(HF, folder.path(), &theirs.options()).unwrap();
        assert_eq!(theirs.puts(), ours.puts());
    }
}
