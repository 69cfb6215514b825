//! Samples to figures: peak, loudness, quiet time and clipping, in one pass and constant memory.

use ebur128::{EbuR128, Mode};

use super::decode::Shape;

/// −60 dBFS.
const QUIET: f32 = 0.001;

/// Runs of full-scale samples of this length are heard as clipping; a normalised peak touches full scale once or twice.
pub(super) const CLIPPED_RUN: u32 = 3;

/// What the meter has seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
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

/// Measures interleaved samples as they come.
pub(super) struct Meter {
    shape: Shape,
    loudness: EbuR128,
    samples: u64,
    peak: f32,
    /// Samples in a block of 100 ms, over all channels.
    block_len: usize,
    block_filled: usize,
    block_peak: f32,
    quiet_samples: u64,
    runs: Vec<u32>,
    longest_run: u32,
}

impl Meter {
    /// A meter for streams of this shape; fails if the loudness meter has no room for it.
    pub(super) fn new(shape: Shape) -> Result<Self, ebur128::Error> {
        Ok(Self {
            loudness: EbuR128::new(shape.channels as u32, shape.rate, Mode::I)?,
            samples: 0,
            peak: 0.0,
            block_len: (shape.rate as usize / 10) * shape.channels,
            block_filled: 0,
            block_peak: 0.0,
            quiet_samples: 0,
            runs: vec![0; shape.channels],
            longest_run: 0,
            shape,
        })
    }

    /// Takes whole frames.
    pub(super) fn add(&mut self, samples: &[f32]) -> Result<(), ebur128::Error> {
        self.loudness.add_frames_f32(samples)?;
        self.samples += samples.len() as u64;
        let peak = self.add_to_blocks(samples);
        self.peak = self.peak.max(peak);
        if peak >= self.shape.full_scale {
            self.count_full_scale_runs(samples);
        } else {
            self.runs.fill(0);
        }
        Ok(())
    }

    /// Ends the measurement.
    pub(super) fn finish(mut self) -> Result<Reading, ebur128::Error> {
        self.end_block();
        Ok(Reading {
            frames: self.samples / self.shape.channels as u64,
            peak: self.peak,
            loudness: self.loudness.loudness_global()?,
            quiet_share: self.quiet_samples as f64 / self.samples.max(1) as f64,
            longest_full_scale_run: self.longest_run,
        })
    }

    /// Carries the samples into blocks of 100 ms and returns their peak.
    fn add_to_blocks(&mut self, samples: &[f32]) -> f32 {
        let mut peak: f32 = 0.0;
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(self.block_len - self.block_filled));
            let piece_peak = peak_of(piece);
            peak = peak.max(piece_peak);
            self.block_peak = self.block_peak.max(piece_peak);
            self.block_filled += piece.len();
            if self.block_filled == self.block_len {
                self.end_block();
            }
            rest = later;
        }
        peak
    }

    fn end_block(&mut self) {
        if self.block_peak < QUIET {
            self.quiet_samples += self.block_filled as u64;
        }
        self.block_peak = 0.0;
        self.block_filled = 0;
    }

    fn count_full_scale_runs(&mut self, samples: &[f32]) {
        for frame in samples.chunks_exact(self.shape.channels) {
            for (sample, run) in frame.iter().zip(&mut self.runs) {
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
    let mut peak = 0.0;
    for sample in samples {
        let level = sample.abs();
        if level > peak {
            peak = level;
        }
    }
    peak
}
