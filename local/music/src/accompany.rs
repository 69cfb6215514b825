//! Chords, pad and bass under the tune.

use crate::score::Score;
use crate::song::{Bar, SECOND_CHORD, Song};
use crate::style::{Band, Feel, Voice};
use crate::theory::{Chord, near};

/// A stretch of a bar under one chord: number, first beat, beats.
struct Span<'a> {
    bar: usize,
    start: f64,
    beats: f64,
    chord: &'a Chord,
    energy: f64,
}

/// Writes every accompanying voice but the drums, and the final chord.
pub(crate) fn write(song: &Song, band: &Band, score: &mut Score, rng: &mut fastrand::Rng) {
    let body = song.bars.len() - 1;
    let mut hand = Vec::new();
    let mut pad_hand = Vec::new();
    let comping = rng.usize(..4);
    for (number, bar) in song.bars[..body].iter().enumerate() {
        for span in spans(number, bar, song.beats) {
            hand = voicing(span.chord, band.chords.centre, &hand, band.bass.is_some());
            chords(band, score, &span, &hand, comping + number);
            if let Some(pad) = band.pad
                && (body < 12 || number >= 4)
            {
                pad_hand = voicing(span.chord, pad.centre, &pad_hand, false);
                for key in &pad_hand {
                    let loudness = 0.4 + 0.22 * span.energy;
                    score.play(pad, number, span.start, span.beats, *key, loudness);
                }
            }
            if let Some(bass) = band.bass {
                let next = song.bars.get(number + 1).map(|b| b.chords[0].bass);
                bass_line(band.feel, score, bass, &span, next);
            }
        }
    }
    finish(song, band, score, &hand);
}

/// The last chord, rolled from the bottom.
fn finish(song: &Song, band: &Band, score: &mut Score, hand: &[i32]) {
    let number = song.bars.len() - 1;
    let chord = &song.bars[number].chords[0];
    let length = song.beats as f64 * 1.5;
    let keys = voicing(chord, band.chords.centre, hand, false);
    let bottom = near(chord.root, 40);
    let loudness = 0.5 + 0.2 * song.energy;
    score.play(
        band.bass.unwrap_or(band.chords),
        number,
        0.0,
        length,
        bottom,
        loudness,
    );
    for (i, key) in keys.iter().enumerate() {
        let roll = 0.06 * (i + 1) as f64;
        score.play(band.chords, number, roll, length, *key, loudness - 0.05);
        if let Some(pad) = band.pad {
            score.play(pad, number, 0.0, length, *key, 0.42);
        }
    }
}

fn spans(number: usize, bar: &Bar, beats: usize) -> Vec<Span<'_>> {
    let beats = beats as f64;
    let span = |start, beats, chord| Span {
        bar: number,
        start,
        beats,
        chord,
        energy: bar.energy,
    };
    match bar.chords.as_slice() {
        [first, second, ..] => vec![
            span(0.0, SECOND_CHORD, first),
            span(SECOND_CHORD, beats - SECOND_CHORD, second),
        ],
        chords => vec![span(0.0, beats, &chords[0])],
    }
}

/// The inversion nearest to the centre and to the hand's last position; a bass player frees it of the root of a
/// four-note chord.
fn voicing(chord: &Chord, centre: i32, last: &[i32], bass_has_root: bool) -> Vec<i32> {
    let rootless = bass_has_root && chord.tones.len() > 3;
    let tones = &chord.tones[usize::from(rootless)..];
    let mean = |keys: &[i32]| keys.iter().sum::<i32>() as f64 / keys.len().max(1) as f64;
    let anchor = if last.is_empty() {
        f64::from(centre)
    } else {
        0.5 * f64::from(centre) + 0.5 * mean(last)
    };
    (0..tones.len())
        .flat_map(|first| [-12, 0].map(|octave| (first, octave)))
        .map(|(first, octave)| {
            let mut key = near(tones[first], centre) + octave;
            let mut keys = vec![key];
            for i in 1..tones.len() {
                let tone = tones[(first + i) % tones.len()];
                key += (tone - key).rem_euclid(12).max(1);
                keys.push(key);
            }
            keys
        })
        .min_by(|a, b| {
            (mean(a) - anchor)
                .abs()
                .total_cmp(&(mean(b) - anchor).abs())
        })
        .unwrap_or_default()
}

fn chords(band: &Band, score: &mut Score, span: &Span, hand: &[i32], variant: usize) {
    let energy = span.energy;
    match band.feel {
        Feel::Ballad | Feel::Folk | Feel::Orchestral => arpeggio(band, score, span, hand, 0.5),
        Feel::Ambient => arpeggio(band, score, span, hand, 1.0),
        Feel::Electronic if (0.5..0.85).contains(&energy) => {
            arpeggio(band, score, span, hand, 0.25);
        }
        Feel::Rock if energy > 0.5 => {
            let root = near(span.chord.root, 45);
            let fifth = near(span.chord.fifth(), root + 7);
            for (beat, beats) in hits(&[(0.0, 0.45)], 0.5, span) {
                for key in [root, fifth, root + 12] {
                    let accent = if beat.fract() == 0.0 { 0.06 } else { 0.0 };
                    score.play(
                        band.chords,
                        span.bar,
                        beat,
                        beats,
                        key,
                        0.5 + 0.2 * energy + accent,
                    );
                }
            }
        }
        _ => {
            let (pattern, every) = comping(band.feel, span, variant);
            for (beat, beats) in hits(pattern, every, span) {
                for key in hand {
                    score.play(
                        band.chords,
                        span.bar,
                        beat,
                        beats,
                        *key,
                        0.4 + 0.22 * energy,
                    );
                }
            }
        }
    }
    let left_hand_has_bass = band.bass.is_none() && band.feel != Feel::Rock;
    if left_hand_has_bass {
        let root = near(span.chord.bass, 41);
        let loudness = 0.46 + 0.2 * energy;
        score.play(
            band.chords,
            span.bar,
            span.start,
            span.beats,
            root,
            loudness,
        );
    }
}

/// Chord rhythms: onsets and lengths in beats, and after how many beats the pattern repeats.
fn comping(feel: Feel, span: &Span, variant: usize) -> (&'static [(f64, f64)], f64) {
    const HELD: &[(f64, f64)] = &[(0.0, 4.0)];
    const POP: &[(f64, f64)] = &[(0.0, 1.4), (1.5, 0.9), (2.5, 1.4)];
    const SWING: [&[(f64, f64)]; 4] = [
        &[(0.0, 0.9), (1.5, 0.4)],
        &[(1.0, 0.4), (2.5, 0.9)],
        &[(0.5, 0.5), (2.0, 0.9), (3.5, 0.4)],
        &[(0.0, 1.4), (2.5, 0.4)],
    ];
    const BOSSA: [&[(f64, f64)]; 2] = [
        &[(0.0, 0.9), (1.5, 0.9), (3.0, 0.9)],
        &[(0.5, 0.9), (2.0, 0.9), (3.0, 0.9)],
    ];
    const LAZY: [&[(f64, f64)]; 2] = [&[(0.0, 2.2), (2.5, 1.2)], &[(0.0, 1.4), (1.5, 2.2)]];
    if span.beats == 3.0 && feel != Feel::Jazz {
        return (&[(1.0, 0.8), (2.0, 0.8)], 3.0);
    }
    match feel {
        Feel::Jazz => (SWING[variant % SWING.len()], 4.0),
        Feel::Bossa => (BOSSA[variant % BOSSA.len()], 4.0),
        Feel::LoFi => (LAZY[variant % LAZY.len()], 4.0),
        Feel::Electronic if span.energy >= 0.85 => (&[(0.5, 0.4)], 1.0),
        Feel::Pop if span.energy > 0.85 => (&[(0.0, 0.9)], 1.0),
        Feel::Pop if span.energy > 0.45 => (POP, 4.0),
        _ => (HELD, 4.0),
    }
}

/// A pattern repeated through a span and cut at its end.
fn hits(pattern: &[(f64, f64)], every: f64, span: &Span) -> Vec<(f64, f64)> {
    let rounds = (span.beats / every).ceil() as usize;
    (0..rounds)
        .flat_map(|round| {
            let shift = round as f64 * every;
            pattern
                .iter()
                .map(move |&(beat, beats)| (beat + shift, beats))
        })
        .filter(|(beat, _)| *beat < span.beats)
        .map(|(beat, beats)| (span.start + beat, beats.min(span.beats - beat)))
        .collect()
}

/// The chord broken upwards and back; notes ring to the end of the span as under a pedal, quick ones do not.
fn arpeggio(band: &Band, score: &mut Score, span: &Span, hand: &[i32], step: f64) {
    if hand.is_empty() {
        return;
    }
    let top = hand[0] + 12;
    let rising: Vec<i32> = hand.iter().copied().chain([top]).collect();
    let cycle = 2 * (rising.len() - 1);
    for i in 0..(span.beats / step) as usize {
        let beat = i as f64 * step;
        let place = i % cycle;
        let key = rising[place.min(cycle - place)];
        let beats = if step < 0.5 { step } else { span.beats - beat };
        let accent = if beat.fract() == 0.0 { 0.04 } else { 0.0 };
        let loudness = 0.36 + 0.22 * span.energy + accent;
        score.play(
            band.chords,
            span.bar,
            span.start + beat,
            beats,
            key,
            loudness,
        );
    }
}

fn bass_line(feel: Feel, score: &mut Score, bass: Voice, span: &Span, next: Option<i32>) {
    let root = near(span.chord.bass, bass.centre);
    let fifth = near(span.chord.fifth(), root + 4);
    let third = near(
        *span.chord.tones.get(1).unwrap_or(&span.chord.root),
        root + 3,
    );
    let approach = next.map_or(fifth, |next| near(next, root) - 1);
    let whole = span.beats;
    let line: Vec<(f64, f64, i32)> = match feel {
        _ if feel != Feel::Jazz && whole == 3.0 => vec![(0.0, 2.0, root)],
        Feel::Jazz => [root, third, fifth, approach]
            .into_iter()
            .enumerate()
            .map(|(i, key)| (i as f64, 0.92, key))
            .collect(),
        Feel::Bossa => vec![
            (0.0, 1.4, root),
            (1.5, 0.5, fifth),
            (2.0, 1.4, fifth),
            (3.5, 0.5, root),
        ],
        Feel::Folk => vec![(0.0, 1.8, root), (2.0, 1.8, fifth)],
        Feel::LoFi => vec![(0.0, 1.4, root), (2.5, 0.45, root), (3.0, 0.8, fifth)],
        Feel::Pop if span.energy <= 0.85 => {
            vec![
                (0.0, 1.4, root),
                (1.5, 0.5, root),
                (2.0, 1.4, root),
                (3.5, 0.5, fifth),
            ]
        }
        Feel::Pop | Feel::Rock => eighths(whole, 0.0, root),
        Feel::Electronic if span.energy > 0.6 => eighths(whole, 0.5, root)
            .into_iter()
            .filter(|(beat, ..)| beat.fract() != 0.0)
            .collect(),
        Feel::Electronic => eighths(whole, 0.0, root),
        Feel::Ballad | Feel::Orchestral | Feel::Ambient => vec![(0.0, whole, root)],
    };
    for (beat, beats, key) in line.into_iter().filter(|(beat, ..)| *beat < whole) {
        let loudness = 0.56 + 0.24 * span.energy;
        let beats = beats.min(whole - beat);
        score.play(bass, span.bar, span.start + beat, beats, key, loudness);
    }
}

fn eighths(beats: f64, from: f64, key: i32) -> Vec<(f64, f64, i32)> {
    let count = ((beats - from) * 2.0) as usize;
    (0..count)
        .map(|i| (from + i as f64 * 0.5, 0.44, key))
        .collect()
}
