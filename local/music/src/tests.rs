//! What every track must be, whatever the narrative.

use std::collections::HashSet;
use std::sync::OnceLock;

use ebur128::{EbuR128, Mode};
use serde_json::json;

use super::*;
use local::stand_ins::jen1::planner;

const NARRATIVES: [&str; 9] = [
    "a calm piano evening in the rain",
    "upbeat summer pop song at the beach",
    "smoky jazz club after midnight",
    "epic orchestral battle in the mountains",
    "energetic techno club",
    "lofi study beats on a rainy window",
    "a lonely cello waltz",
    "fierce punk rock race",
    "",
];

fn font() -> &'static Arc<SoundFont> {
    static FONT: OnceLock<Arc<SoundFont>> = OnceLock::new();
    FONT.get_or_init(|| font::load(None).unwrap())
}

fn play(narrative: &str, seconds: f64, seed: u64) -> Vec<u8> {
    let plan = serde_json::to_value(planner::plan(narrative, seconds)).unwrap();
    render(font(), &plan, narrative, seconds, seed).unwrap()
}

fn samples(wav: &[u8]) -> Vec<i16> {
    let reader = hound::WavReader::new(wav).unwrap();
    let spec = reader.spec();
    assert_eq!(
        (spec.sample_rate, spec.channels, spec.bits_per_sample),
        (44_100, 2, 16)
    );
    reader.into_samples().collect::<Result<_, _>>().unwrap()
}

/// Length, peak and loudness are as promised.
fn check(name: &str, wav: &[u8], seconds: f64) {
    let samples = samples(wav);
    assert_eq!(
        samples.len(),
        (seconds * 44_100.0).round() as usize * 2,
        "{name}: length"
    );
    let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap();
    let peak_db = 20.0 * (f64::from(peak) / 32_768.0).log10();
    assert!(peak_db <= -1.0, "{name}: peak {peak_db:.2} dBFS");
    let mut meter = EbuR128::new(2, 44_100, Mode::I).unwrap();
    meter.add_frames_i16(&samples).unwrap();
    let loudness = meter.loudness_global().unwrap();
    assert!(
        (-20.0..=-14.0).contains(&loudness),
        "{name}: {loudness:.1} LUFS"
    );
}

#[test]
fn every_track_has_its_length_and_loudness_and_never_clips() {
    for (i, narrative) in NARRATIVES.into_iter().enumerate() {
        for seed in [i as u64, u64::MAX - i as u64] {
            let name = format!("{narrative:?}, seed {seed}");
            check(&name, &play(narrative, 20.0, seed), 20.0);
        }
    }
}

#[test]
fn very_short_odd_and_long_lengths_are_kept_to_the_sample() {
    for seconds in [1.0, 2.5, 7.123, 95.0] {
        check(
            &format!("{seconds} s"),
            &play("a happy walk", seconds, 5),
            seconds,
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_another_tune() {
    let tune = play(NARRATIVES[0], 12.0, 7);
    assert!(tune == play(NARRATIVES[0], 12.0, 7));
    let mut tunes: HashSet<Vec<u8>> = (8..13)
        .map(|seed| play(NARRATIVES[0], 12.0, seed))
        .collect();
    tunes.insert(tune);
    assert_eq!(tunes.len(), 6);
}

#[test]
fn music_sounds_all_the_way_and_dies_away_at_the_end() {
    for narrative in &NARRATIVES[..3] {
        let samples = samples(&play(narrative, 20.0, 2));
        let loudest = |second: usize| {
            let part = &samples[second * 88_200..(second + 1) * 88_200];
            part.iter().map(|s| s.unsigned_abs()).max().unwrap()
        };
        for second in 0..19 {
            assert!(
                loudest(second) > 300,
                "{narrative:?} rests in second {second}"
            );
        }
        assert_eq!(
            samples[samples.len() - 2..],
            [0, 0],
            "{narrative:?} ends in a click"
        );
    }
}

#[test]
fn a_plan_from_somewhere_else_is_played_as_well() {
    for plan in [
        json!(null),
        json!({"title": "x", "tempo": "fast", "key": "H", "mood": 3, "sections": [{"chords": ["?"]}]}),
        json!({"tempo": 0, "time_signature": "7/8", "sections": [{"name": 1, "bars": 0, "chords": "C, G"}]}),
        json!({"instrumentation": "theremin, spoons", "genre": "zydeco"}),
    ] {
        let wav = render(font(), &plan, "something", 6.0, 1).unwrap();
        check(&plan.to_string(), &wav, 6.0);
    }
}

#[test]
fn the_tune_moves_rests_and_comes_home_without_jumps() {
    for (seed, narrative) in NARRATIVES.into_iter().enumerate() {
        let plan = serde_json::to_value(planner::plan(narrative, 30.0)).unwrap();
        let song = Song::read(&plan, narrative, 30.0, seed as u64);
        let band = Band::of(&song);
        let mut rng = fastrand::Rng::with_seed(seed as u64);
        let mut score = Score::new(&song, band.feel, rng.fork());
        melody::write(&song, &band, &mut score, &mut rng);
        assert!(
            score.notes.len() > song.bars.len(),
            "{narrative:?} has a tune"
        );
        let longest = score.notes.iter().map(|n| n.seconds).fold(0.0, f64::max);
        let last = score.notes.last().unwrap();
        assert_eq!(
            i32::from(last.key) % 12,
            song.key.tonic,
            "{narrative:?} ends at home"
        );
        assert!(longest >= 1.0, "{narrative:?} never rests on a note");
        let mut leaps = score.notes.windows(2).map(|n| n[0].key.abs_diff(n[1].key));
        assert!(leaps.all(|leap| leap <= 12), "{narrative:?} jumps");
    }
}

#[test]
fn silence_is_well_formed() {
    let silent = samples(&silence(3.0).unwrap());
    assert_eq!(silent.len(), 3 * 88_200);
    assert!(silent.iter().all(|s| *s == 0));
}
