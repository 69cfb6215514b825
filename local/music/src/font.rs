//! Finds and loads the SoundFont, which the distribution or `local/install` brings and this project never ships.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustysynth::SoundFont;

const NAME: &str = "TimGM6mb.sf2";

/// Where `local/install` puts it when nobody else brought it, below the top of the clone.
const FETCHED: &str = ".local/sounds";

/// No SoundFont to play on.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    #[error(
        "no {NAME} in {looked} or {FETCHED} of the clone; ./local/install fetches it, or name a SoundFont with --soundfont"
    )]
    Missing { looked: String },
    #[error("{path} cannot be read as a SoundFont: {reason}")]
    Unreadable { path: PathBuf, reason: String },
}

/// Loads the SoundFont named, or the first found in the usual places.
pub fn load(named: Option<&Path>) -> Result<Arc<SoundFont>, FontError> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => find()?,
    };
    let unreadable = |reason: String| FontError::Unreadable {
        path: path.clone(),
        reason,
    };
    let file = File::open(&path).map_err(|e| unreadable(e.to_string()))?;
    SoundFont::new(&mut BufReader::new(file))
        .map(Arc::new)
        .map_err(|e| unreadable(e.to_string()))
}

fn find() -> Result<PathBuf, FontError> {
    let usual = usual_folders();
    // The clone is where this program was built, and for one that was taken out of it, where that was.
    let program = std::env::current_exe().unwrap_or_default();
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let above = program.ancestors().chain([&*clone]);
    let fetched = above.map(|folder| folder.join(FETCHED));
    (usual.iter().cloned().chain(fetched))
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file())
        .ok_or_else(|| FontError::Missing {
            looked: usual.map(|f| f.display().to_string()).join(", "),
        })
}

/// `local/install` looks in the same.
fn usual_folders() -> [PathBuf; 7] {
    let home = std::env::home_dir().unwrap_or_default();
    [
        PathBuf::from("/usr/share/sounds/sf2"),
        PathBuf::from("/usr/share/soundfonts"),
        PathBuf::from("/usr/local/share/sounds/sf2"),
        PathBuf::from("/opt/homebrew/share/sounds/sf2"),
        PathBuf::from("/opt/homebrew/share/soundfonts"),
        home.join(".local/share/sounds/sf2"),
        home.join(".local/share/soundfonts"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_soundfont_is_named_in_the_error() {
        let error = load(Some(Path::new("Cargo.toml"))).unwrap_err();
        assert!(error.to_string().contains("Cargo.toml"), "{error}");
    }

    #[test]
    fn the_script_that_fetches_it_looks_in_the_same_folders_first() {
        let script = include_str!("../../install");
        let home = std::env::home_dir().unwrap_or_default();
        for folder in usual_folders() {
            let folder = match folder.strip_prefix(&home) {
                Ok(inside) => format!("\"$HOME/{}\"", inside.display()),
                Err(_) => folder.display().to_string(),
            };
            assert!(script.contains(&format!(" {folder}")), "{folder}");
        }
        assert!(script.contains(&format!("{FETCHED}/{NAME}")));
    }
}
