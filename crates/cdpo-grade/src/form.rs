//! Normal forms: expressions go in; sums of products with exact coefficients, and answers made of them, come out.

pub(crate) mod answer;
pub(crate) mod atom;
pub(crate) mod build;
pub(crate) mod call;
pub(crate) mod inequality;
pub(crate) mod matrix;
pub(crate) mod name;
pub(crate) mod power;
pub(crate) mod print;
pub(crate) mod region;
pub(crate) mod spelled;
pub(crate) mod sum;
pub(crate) mod text;
pub(crate) mod value;
