//! Plays a score on a SoundFont, the voices balanced by their measured loudness.

use std::sync::Arc;

use ebur128::{EbuR128, Mode};
use rustysynth::{SoundFont, Synthesizer, SynthesizerSettings};

use crate::RenderError;
use crate::score::Note;
use crate::style::{Band, Voice};

/// Samples a second.
pub(crate) const SAMPLE_RATE: u32 = 44_100;

const PROGRAM: i32 = 0xC0;
const CONTROL: i32 = 0xB0;
const VOLUME_COARSE: i32 = 0x07;
const VOLUME_FINE: i32 = 0x27;
const PAN: i32 = 0x0A;
const REVERB: i32 = 0x5B;

/// How much of the music is played to measure a voice.
const PROBE_SECONDS: f64 = 5.0;

/// Two channels of one length.
pub(crate) struct Stereo {
    pub(crate) left: Vec<f32>,
    pub(crate) right: Vec<f32>,
}

impl Stereo {
    pub(crate) fn silent(samples: usize) -> Self {
        Self {
            left: vec![0.0; samples],
            right: vec![0.0; samples],
        }
    }

    /// Integrated loudness in LUFS; minus infinity for silence.
    pub(crate) fn loudness(&self) -> Result<f64, RenderError> {
        let mut meter = EbuR128::new(2, SAMPLE_RATE, Mode::I)?;
        meter.add_frames_planar_f32(&[&self.left, &self.right])?;
        Ok(meter.loudness_global()?)
    }
}

/// Plays all notes of a band; those beyond `samples` are cut.
pub(crate) fn play(
    font: &Arc<SoundFont>,
    band: &Band,
    notes: &[Note],
    samples: usize,
) -> Result<Stereo, RenderError> {
    let mut gains = gains(font, band, notes)?;
    let most = gains.iter().map(|(_, db)| *db).fold(f64::MIN, f64::max);
    gains.iter_mut().for_each(|(_, db)| *db -= most);
    perform(font, &gains, notes, samples, true)
}

/// What each voice needs, in dB, to have its level in the mix: the sounds of a SoundFont differ by 20 dB and more. All are
/// measured over the same busy seconds; one that rests there gets the mean of the others.
fn gains(
    font: &Arc<SoundFont>,
    band: &Band,
    notes: &[Note],
) -> Result<Vec<(Voice, f64)>, RenderError> {
    let from = busiest(notes, PROBE_SECONDS);
    let probe: Vec<Note> = notes
        .iter()
        .filter(|n| (from..from + PROBE_SECONDS).contains(&n.at))
        .map(|n| Note {
            at: n.at - from,
            ..*n
        })
        .collect();
    let samples = (PROBE_SECONDS * f64::from(SAMPLE_RATE)) as usize;
    let mut gains = Vec::new();
    for voice in band.voices() {
        let heard = perform(font, &[(voice, 0.0)], &probe, samples, false)?.loudness()?;
        gains.push((voice, voice.level - heard));
    }
    let known: Vec<f64> = gains
        .iter()
        .map(|g| g.1)
        .filter(|g| g.is_finite())
        .collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    for (_, gain) in &mut gains {
        if !gain.is_finite() {
            *gain = mean;
        }
    }
    Ok(gains)
}

/// When the stretch of so many seconds with the most notes begins.
fn busiest(notes: &[Note], seconds: f64) -> f64 {
    let mut starts: Vec<f64> = notes.iter().map(|n| n.at).collect();
    starts.sort_by(f64::total_cmp);
    let within = |from: f64| starts.partition_point(|at| *at < from + seconds);
    let count = |i: usize| within(starts[i]) - i;
    (0..starts.len())
        .max_by_key(|&i| count(i))
        .map_or(0.0, |i| starts[i])
}

/// Plays the notes of these voices, each turned up or down by so many dB.
fn perform(
    font: &Arc<SoundFont>,
    voices: &[(Voice, f64)],
    notes: &[Note],
    samples: usize,
    effects: bool,
) -> Result<Stereo, RenderError> {
    let mut settings = SynthesizerSettings::new(SAMPLE_RATE as i32);
    settings.maximum_polyphony = 160;
    settings.enable_reverb_and_chorus = effects;
    let mut synth = Synthesizer::new(font, &settings)?;
    for (voice, gain) in voices {
        let channel = i32::from(voice.channel);
        // The synthesizer squares the volume.
        let volume = (16_383.0 * 10_f64.powf(gain / 40.0)) as i32;
        synth.process_midi_message(channel, PROGRAM, i32::from(voice.program), 0);
        for (control, value) in [
            (VOLUME_COARSE, volume.min(16_383) >> 7),
            (VOLUME_FINE, volume.min(16_383) & 0x7F),
            (PAN, i32::from(voice.pan)),
            (REVERB, i32::from(voice.reverb)),
        ] {
            synth.process_midi_message(channel, CONTROL, control, value);
        }
    }

    let heard = |n: &&Note| voices.iter().any(|(v, _)| v.channel == n.channel);
    let mut sound = Stereo::silent(samples);
    let mut done = 0;
    for strike in strikes(notes.iter().filter(heard).copied().collect()) {
        let at = strike.at.min(samples);
        synth.render(&mut sound.left[done..at], &mut sound.right[done..at]);
        done = at;
        let (channel, key) = (i32::from(strike.channel), i32::from(strike.key));
        if strike.velocity == 0 {
            synth.note_off(channel, key);
        } else {
            synth.note_on(channel, key, i32::from(strike.velocity));
        }
    }
    synth.render(&mut sound.left[done..], &mut sound.right[done..]);
    Ok(sound)
}

/// A key going down, or up if the velocity is 0. The order of the fields is the order of play: at one instant keys
/// go up before they go down.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Strike {
    at: usize,
    down: bool,
    channel: u8,
    key: u8,
    velocity: u8,
}

fn strikes(mut notes: Vec<Note>) -> Vec<Strike> {
    let sample = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as usize;
    notes.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut strikes = Vec::with_capacity(notes.len() * 2);
    for (i, note) in notes.iter().enumerate() {
        // The same key struck again ends the note before it, or that one's release would end the new note.
        let again = notes[i + 1..]
            .iter()
            .take(256)
            .find(|n| n.channel == note.channel && n.key == note.key)
            .map_or(f64::INFINITY, |n| n.at);
        let up = (note.at + note.seconds).min(again);
        let strike = |at, velocity| Strike {
            at: sample(at),
            down: velocity > 0,
            channel: note.channel,
            key: note.key,
            velocity,
        };
        strikes.push(strike(note.at, note.velocity));
        strikes.push(strike(up, 0));
    }
    strikes.sort();
    strikes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_up_before_it_is_struck_again() {
        let note = |at| Note {
            channel: 0,
            key: 60,
            velocity: 90,
            at,
            seconds: 2.0,
        };
        let velocities: Vec<u8> = strikes(vec![note(1.0), note(0.0)])
            .iter()
            .map(|s| s.velocity)
            .collect();
        assert_eq!(velocities, [90, 0, 90, 0]);
    }

    #[test]
    fn the_busiest_seconds_are_found() {
        let note = |at| Note {
            channel: 0,
            key: 60,
            velocity: 90,
            at,
            seconds: 1.0,
        };
        let notes: Vec<Note> = [0.0, 9.0, 10.0, 10.5, 11.0, 20.0].map(note).to_vec();
        assert_eq!(busiest(&notes, 3.0), 9.0);
        assert_eq!(busiest(&[], 3.0), 0.0);
    }
}
