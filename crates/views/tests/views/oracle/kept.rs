//! The files of checkpoints, as a power cut or a planted bug leaves them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_records::Position;
use headwater_stores::checkpoint::{CheckpointFolder, Listed};

/// The folders of all checkpoints below that of all views, each with the layout of its rows.
fn folders(views: &Path) -> Vec<(PathBuf, u64)> {
    let list = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<PathBuf>>()
    };
    let mut found: Vec<(PathBuf, u64)> = Vec::new();
    for version in list(views).iter().flat_map(|view| list(view)) {
        let name = version.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folder = version.join("checkpoints");
        if let Ok(layout) = u64::from_str_radix(name, 16)
            && folder.is_dir()
        {
            found.push((folder, layout));
        }
    }
    found.sort();
    found
}

/// Cuts one in three of them somewhere.
pub fn tear(views: &Path, seed: u64) {
    for (folder, _) in folders(views) {
        for (number, file) in (seed..).zip(std::fs::read_dir(folder).expect("a folder").flatten()) {
            let bytes = std::fs::read(file.path()).expect("a file");
            if number % 3 == 0 {
                std::fs::write(file.path(), &bytes[..bytes.len() * 2 / 3]).expect("a file");
            }
        }
    }
}

/// Lets each of them say that it stands one event before where it does: a planted bug.
pub fn set_back(views: &Path) {
    for (folder, layout) in folders(views) {
        let (folder, listed) = CheckpointFolder::open(&folder, layout);
        for Listed { number, position, .. } in listed {
            let checkpoint = Arc::new(folder.read(number).expect("it is whole"));
            let mut before = Position::new();
            let mut is_set_back = false;
            for (stream, partition, next) in position.iter() {
                let goes_back = !is_set_back && next > 0;
                is_set_back |= goes_back;
                before.set(stream, partition, next - u64::from(goes_back));
            }
            let rows = Box::new(checkpoint.rows());
            folder
                .write(number, &before, rows, &|| true)
                .expect("it is written again");
        }
    }
}
