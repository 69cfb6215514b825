//! Finds and loads the SoundFont, which the distribution installs and this project never ships.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustysynth::SoundFont;

const NAME: &str = "TimGM6mb.sf2";

/// No SoundFont to play on.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    #[error(
        "no {NAME} in {looked}; install it (Debian, Ubuntu: apt-get install timgm6mb-soundfont; others: put the file \
         into ~/.local/share/sounds/sf2) or name a SoundFont with --soundfont"
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
    let home = std::env::home_dir().unwrap_or_default();
    let folders = [
        PathBuf::from("/usr/share/sounds/sf2"),
        PathBuf::from("/usr/share/soundfonts"),
        PathBuf::from("/usr/local/share/sounds/sf2"),
        PathBuf::from("/opt/homebrew/share/sounds/sf2"),
        PathBuf::from("/opt/homebrew/share/soundfonts"),
        home.join(".local/share/sounds/sf2"),
        home.join(".local/share/soundfonts"),
    ];
    folders
        .iter()
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file())
        .ok_or_else(|| FontError::Missing {
            looked: folders.map(|f| f.display().to_string()).join(", "),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_soundfont_is_named_in_the_error() {
        let error = load(Some(Path::new("Cargo.toml"))).unwrap_err();
        assert!(error.to_string().contains("Cargo.toml"), "{error}");
    }
}
