//! Notes in seconds, and the clock that turns bars and beats into them.

use crate::song::Song;
use crate::style::{Feel, Voice};

/// One note of one voice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Note {
    pub channel: u8,
    pub key: u8,
    pub velocity: u8,
    /// Seconds from the start.
    pub at: f64,
    pub seconds: f64,
}

/// All notes of a performance, in no order.
#[derive(Debug)]
pub(crate) struct Score {
    pub notes: Vec<Note>,
    clock: Clock,
    rng: fastrand::Rng,
}

/// Where a bar's beats lie in time: swing moves the off-beats, broadening stretches the last bar before the end.
#[derive(Debug, Clone)]
struct Clock {
    beats: f64,
    beat_seconds: f64,
    body_bars: usize,
    stretch: f64,
    swings: bool,
}

impl Score {
    /// An empty score for a song.
    pub(crate) fn new(song: &Song, feel: Feel, rng: fastrand::Rng) -> Self {
        let body_bars = song.bars.len() - 1;
        let stretch = if feel.broadens() && body_bars >= 4 {
            1.25
        } else {
            1.0
        };
        let bars = body_bars as f64;
        // The stretched bar takes its time from all the others.
        let squeeze = bars.max(1.0) / (bars.max(1.0) - 1.0 + stretch);
        Self {
            notes: Vec::new(),
            clock: Clock {
                beats: song.beats as f64,
                beat_seconds: 60.0 / song.tempo * squeeze,
                body_bars,
                stretch,
                swings: feel.swings(),
            },
            rng,
        }
    }

    /// Writes a note at a beat of a bar, lasting `beats`; `loudness` is 0 to 1. Time and force vary as a player's do.
    pub(crate) fn play(
        &mut self,
        voice: Voice,
        bar: usize,
        beat: f64,
        beats: f64,
        key: i32,
        loudness: f64,
    ) {
        let at = self.clock.at(bar, beat);
        let end = self.clock.at(bar, beat + beats);
        let early = self.rng.f64() * 0.014 - 0.006;
        let force = loudness * 112.0 + self.rng.f64() * 9.0 - 4.0;
        self.notes.push(Note {
            channel: voice.channel,
            key: key.clamp(21, 108) as u8,
            velocity: force.clamp(12.0, 124.0) as u8,
            at: (at + early).max(0.0),
            seconds: (end - at).max(0.05),
        });
    }
}

impl Clock {
    /// Seconds at a beat, which may lie beyond its bar.
    fn at(&self, bar: usize, beat: f64) -> f64 {
        let whole = beat.floor();
        let part = beat - whole;
        let part = if !self.swings {
            part
        } else if part <= 0.5 {
            part * 1.28
        } else {
            0.64 + (part - 0.5) * 0.72
        };
        let beats = bar as f64 * self.beats + whole + part;
        let steady = (self.body_bars.saturating_sub(1)) as f64 * self.beats;
        let stretched = (beats - steady).clamp(0.0, self.beats) * (self.stretch - 1.0);
        (beats + stretched) * self.beat_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_final_chord_starts_where_the_song_planned_it() {
        for feel in [Feel::Ballad, Feel::Electronic, Feel::Jazz] {
            let song = Song::read(&json!({"tempo": 80}), "", 30.0, 1);
            let score = Score::new(&song, feel, fastrand::Rng::with_seed(1));
            let last = score.clock.at(song.bars.len() - 1, 0.0);
            assert!(
                (last + song.ending_seconds - 30.0).abs() < 1e-6,
                "{feel:?} {last}"
            );
        }
    }

    #[test]
    fn swing_delays_only_the_off_beat() {
        let song = Song::read(&json!({"tempo": 120}), "", 30.0, 1);
        let score = Score::new(&song, Feel::LoFi, fastrand::Rng::with_seed(1));
        let beat = score.clock.at(0, 1.0);
        assert!((score.clock.at(0, 2.0) - 2.0 * beat).abs() < 1e-9);
        assert!(score.clock.at(0, 0.5) > 0.6 * beat);
    }
}
