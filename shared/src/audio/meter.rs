//! Samples to figures: peak, loudness, quiet time and clipping, in one pass and constant memory.

use ebur128::{EbuR128, Mode};

use super::decode::Shape;
use super::extremes::extremes_of;

/// −60 dBFS.
const QUIET: f32 = 0.001;

/// Runs of full-scale samples of this length are heard as clipping; a normalised peak touches full scale once or twice.
pub(super) const CLIPPED_RUN: u32 = 3;

/// What the meter has seen. All but `frames` is of the length that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// Of the whole file.
    pub(super) frames: u64,
    /// Highest absolute sample; 1 is full scale.
    pub(super) peak: f32,
    /// Integrated loudness in LUFS, −∞ when every block lies under the standard's absolute gate.
    pub(super) loudness: f64,
    /// Share of the time, 0…1, in blocks of 100 ms whose every sample is under −60 dBFS.
    pub(super) quiet_share: f64,
    /// The longest run of samples in one channel at or over full scale.
    pub(super) longest_full_scale_run: u32,
}

/// Measures samples as they come, one plane a channel.
pub(super) struct Meter {
    shape: Shape,
    loudness: EbuR128,
    frames: u64,
    /// Frames that are measured at all.
    asked: u64,
    peak: f32,
    /// Frames in a block of 100 ms.
    block_len: usize,
    block_filled: usize,
    block_peak: f32,
    quiet_frames: u64,
    runs: Vec<u32>,
    longest_run: u32,
}

impl Meter {
    /// A meter for this many frames of a stream of this shape; fails if the loudness meter has no room for it.
    pub(super) fn new(shape: Shape, asked: u64) -> Result<Self, ebur128::Error> {
        Ok(Self {
            loudness: EbuR128::new(shape.channels as u32, shape.rate, Mode::I)?,
            frames: 0,
            asked,
            peak: 0.0,
            block_len: shape.rate as usize / 10,
            block_filled: 0,
            block_peak: 0.0,
            quiet_frames: 0,
            runs: vec![0; shape.channels],
            longest_run: 0,
            shape,
        })
    }

    /// Takes planes of one length.
    pub(super) fn add(&mut self, planes: &[Vec<f32>]) -> Result<(), ebur128::Error> {
        let delivered = planes.first().map_or(0, |plane| plane.len());
        let left = self.asked.saturating_sub(self.frames);
        self.frames += delivered as u64;
        let frames = delivered.min(usize::try_from(left).unwrap_or(usize::MAX));
        if frames == 0 {
            return Ok(());
        }
        let planes: Vec<&[f32]> = planes.iter().map(|plane| &plane[..frames]).collect();
        self.loudness.add_frames_planar_f32(&planes)?;
        let peak = self.add_to_blocks(&planes, frames);
        self.peak = self.peak.max(peak);
        if peak >= self.shape.full_scale {
            self.count_full_scale_runs(&planes);
        } else {
            self.runs.fill(0);
        }
        Ok(())
    }

    /// Ends the measurement.
    pub(super) fn finish(mut self) -> Result<Reading, ebur128::Error> {
        self.end_block();
        Ok(Reading {
            frames: self.frames,
            peak: self.peak,
            loudness: self.loudness.loudness_global()?,
            quiet_share: self.quiet_frames as f64 / self.frames.min(self.asked).max(1) as f64,
            longest_full_scale_run: self.longest_run,
        })
    }

    /// Carries the samples into blocks of 100 ms and returns their peak.
    fn add_to_blocks(&mut self, planes: &[&[f32]], frames: usize) -> f32 {
        let mut peak: f32 = 0.0;
        let mut at = 0;
        while at < frames {
            let end = frames.min(at + self.block_len - self.block_filled);
            let pieces = planes.iter().map(|plane| peak_of(&plane[at..end]));
            let piece_peak = pieces.fold(0.0, f32::max);
            peak = peak.max(piece_peak);
            self.block_peak = self.block_peak.max(piece_peak);
            self.block_filled += end - at;
            if self.block_filled == self.block_len {
                self.end_block();
            }
            at = end;
        }
        peak
    }

    fn end_block(&mut self) {
        if self.block_peak < QUIET {
            self.quiet_frames += self.block_filled as u64;
        }
        self.block_peak = 0.0;
        self.block_filled = 0;
    }

    fn count_full_scale_runs(&mut self, planes: &[&[f32]]) {
        for (plane, run) in planes.iter().zip(&mut self.runs) {
            for sample in *plane {
                if sample.abs() >= self.shape.full_scale {
                    *run += 1;
                    self.longest_run = self.longest_run.max(*run);
                } else {
                    *run = 0;
                }
            }
        }
    }
}

fn peak_of(samples: &[f32]) -> f32 {
    let [low, high] = extremes_of(samples);
    high.max(-low).max(0.0)
}
