pub mod stand_ins;
