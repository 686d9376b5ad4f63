//! One transformer block of the LLaMA family: its weights, forward and reverse.
//!
//! `x2 = x + O attend(rope(Q n1), rope(K n1), V n1)` with `n1 = rms_norm(x)`; `y = x2 + Down(silu(Gate n2) * Up n2)` with
//! `n2 = rms_norm(x2)`. The normed inputs and the gated product are cheap and are computed again in the reverse pass.

pub(crate) mod description;

use candle_core::Tensor;

use crate::adapter::AdapterStack;
use crate::arena::Arena;
use crate::error::{Error, Result};
use crate::inventory::{Loader, Place};
use crate::ops::attention::{self, Attended, Heads, Pattern};
use crate::ops::linear::{self, LinearGrads, LoraGrads};
use crate::ops::rotary::Rotary;
use crate::ops::{rms_norm, sum, swiglu};
use crate::projection::{Norm, Projection};
use crate::weight::{Vector, Weight};
use description::Activation;

/// A linear layer's parameters.
#[derive(Debug)]
pub(crate) struct LinearLayer {
    pub(crate) weight: Weight,
    pub(crate) bias: Option<Vector>,
}

/// The weights of one block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) layer: usize,
    activation: Activation,
    norm1: Vector,
    norm2: Vector,
    /// By [`Projection`].
    linears: Vec<LinearLayer>,
}

/// What is the same for all blocks of one call.
pub(crate) struct Call<'a> {
    pub(crate) heads: Heads,
    pub(crate) eps: f64,
    pub(crate) rotary: &'a Rotary,
    /// Position of each row.
    pub(crate) positions: &'a [u32],
    pub(crate) stack: AdapterStack<'a>,
    /// Dropout key of each row, in training.
    pub(crate) row_keys: Option<&'a [u64]>,
}

/// What the reverse pass of a block reads.
#[derive(Debug)]
pub(crate) struct BlockActivations {
    x: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attended: Attended,
    x2: Tensor,
    /// Gate and up projections; computed again if they were not kept.
    feed_forward: Option<(Tensor, Tensor)>,
}

impl BlockActivations {
    /// Frees what the reverse pass can compute again from the block's middle.
    pub(crate) fn forget_feed_forward(&mut self) {
        self.feed_forward = None;
    }
}

impl Activation {
    /// The gated product.
    fn forward(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        match self {
            Self::Silu => swiglu::forward(gate, up),
        }
    }

    /// Gradients of gate and up projection.
    fn backward(self, dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<(Tensor, Tensor)> {
        match self {
            Self::Silu => swiglu::backward(dy, gate, up),
        }
    }
}

impl Block {
    /// Reads the block's tensors.
    ///
    /// # Errors
    /// Those of [`Loader::weight`].
    pub(crate) fn load(loader: &Loader<'_>, activation: Activation, layer: usize) -> Result<Self> {
        let mut linears = Vec::with_capacity(Projection::ALL.len());
        for p in Projection::ALL {
            let bias = Place::Bias(layer, p);
            linears.push(LinearLayer {
                weight: loader.weight(Place::Weight(layer, p))?,
                bias: if loader.has(bias) {
                    Some(loader.vector(bias)?)
                } else {
                    None
                },
            });
        }
        let [norm1, norm2] = Norm::ALL.map(|norm| loader.vector(Place::Norm(layer, norm)));
        Ok(Self {
            layer,
            activation,
            norm1: norm1?,
            norm2: norm2?,
            linears,
        })
    }

    pub(crate) fn norm(&self, norm: Norm) -> &Vector {
        match norm {
            Norm::Input => &self.norm1,
            Norm::PostAttention => &self.norm2,
        }
    }

    pub(crate) fn norm_mut(&mut self, norm: Norm) -> &mut Vector {
        match norm {
            Norm::Input => &mut self.norm1,
            Norm::PostAttention => &mut self.norm2,
        }
    }

    pub(crate) fn linear(&self, p: Projection) -> &LinearLayer {
        &self.linears[p as usize]
    }

    pub(crate) fn linear_mut(&mut self, p: Projection) -> &mut LinearLayer {
        &mut self.linears[p as usize]
    }

    /// All matrices.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Weight> {
        self.linears.iter().map(|linear| &linear.weight)
    }

    /// All matrices, to change their form.
    pub(crate) fn weights_mut(&mut self) -> impl Iterator<Item = &mut Weight> {
        self.linears.iter_mut().map(|linear| &mut linear.weight)
    }

    fn project(&self, call: &Call<'_>, p: Projection, x: &Tensor) -> Result<Tensor> {
        let (lora, _) = call.stack.at(self.layer, p, call.row_keys);
        let LinearLayer { weight, bias } = self.linear(p);
        linear::forward(x, weight, bias.as_ref().map(|b| &b.values), &lora)
    }

    /// Rotated queries and keys, and values, of the rows of `x`.
    pub(crate) fn qkv(&self, call: &Call<'_>, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let n1 = rms_norm::forward(x, &self.norm1.values, call.eps)?;
        let q = self.project(call, Projection::Q, &n1)?;
        let k = self.project(call, Projection::K, &n1)?;
        let v = self.project(call, Projection::V, &n1)?;
        let q = call
            .rotary
            .apply(&q, call.heads.query, call.positions, false)?;
        let k = call
            .rotary
            .apply(&k, call.heads.kv, call.positions, false)?;
        Ok((q, k, v))
    }

    /// The block after attention: `(x2, gate, up, y)`.
    fn finish(
        &self,
        call: &Call<'_>,
        x: &Tensor,
        attended: &Tensor,
    ) -> Result<(Tensor, Tensor, Tensor, Tensor)> {
        let x2 = sum::add(x, &self.project(call, Projection::O, attended)?)?;
        let (_, gate, up) = self.gate_up(call, &x2)?;
        let product = self.activation.forward(&gate, &up)?;
        let y = sum::add(&x2, &self.project(call, Projection::Down, &product)?)?;
        Ok((x2, gate, up, y))
    }

    /// The normed input of the feed-forward layer with its gate and up projections.
    fn gate_up(&self, call: &Call<'_>, x2: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let n2 = rms_norm::forward(x2, &self.norm2.values, call.eps)?;
        let gate = self.project(call, Projection::Gate, &n2)?;
        let up = self.project(call, Projection::Up, &n2)?;
        Ok((n2, gate, up))
    }

    /// The block after attention, nothing kept.
    pub(crate) fn output(&self, call: &Call<'_>, x: &Tensor, attended: &Tensor) -> Result<Tensor> {
        Ok(self.finish(call, x, attended)?.3)
    }

    /// The whole block over a forest.
    pub(crate) fn forward(
        &self,
        call: &Call<'_>,
        pattern: &Pattern,
        x: &Tensor,
    ) -> Result<(Tensor, BlockActivations)> {
        let (q, k, v) = self.qkv(call, x)?;
        let attended = attention::forward(&q, &k, &v, pattern, call.heads)?;
        let (x2, gate, up, y) = self.finish(call, x, &attended.out)?;
        Ok((
            y,
            BlockActivations {
                x: x.clone(),
                q,
                k,
                v,
                attended,
                x2,
                feed_forward: Some((gate, up)),
            },
        ))
    }

    /// Gradient of `x` (if `need_dx`) for the gradient `dy` of the output; parameter gradients are added into `grads`.
    pub(crate) fn backward(
        &self,
        call: &Call<'_>,
        pattern: &Pattern,
        dy: &Tensor,
        kept: BlockActivations,
        grads: &mut Arena,
        need_dx: bool,
    ) -> Result<Option<Tensor>> {
        let BlockActivations {
            x,
            q,
            k,
            v,
            attended,
            x2,
            feed_forward,
        } = kept;
        let (n2, gate, up) = match feed_forward {
            Some((gate, up)) => {
                let n2 = rms_norm::forward(&x2, &self.norm2.values, call.eps)?;
                (n2, gate, up)
            }
            None => self.gate_up(call, &x2)?,
        };
        let product = self.activation.forward(&gate, &up)?;
        let dproduct = self.reverse(call, Projection::Down, dy, &product, grads)?;
        drop(product);
        let (dgate, dup) = self.activation.backward(&dproduct, &gate, &up)?;
        drop((dproduct, gate, up));
        let dn2 = sum::add(
            &self.reverse(call, Projection::Gate, &dgate, &n2, grads)?,
            &self.reverse(call, Projection::Up, &dup, &n2, grads)?,
        )?;
        drop((n2, dgate, dup));
        let dnorm2 = grads.view_mut(&self.norm2.name);
        let through = rms_norm::backward(&dn2, &x2, &self.norm2.values, call.eps, dnorm2)?;
        let dx2 = sum::add(dy, &through)?;
        drop((dn2, x2));

        let dattended = self.reverse(call, Projection::O, &dx2, &attended.out, grads)?;
        let (dq, dk, dv) =
            attention::backward(&dattended, &q, &k, &v, &attended, pattern, call.heads)?;
        drop((dattended, q, k, v, attended));
        let dq = call
            .rotary
            .apply(&dq, call.heads.query, call.positions, true)?;
        let dk = call
            .rotary
            .apply(&dk, call.heads.kv, call.positions, true)?;
        let n1 = rms_norm::forward(&x, &self.norm1.values, call.eps)?;
        let need_dn1 = need_dx || grads.layout().entry(&self.norm1.name).is_some();
        let mut dn1: Option<Tensor> = None;
        for (p, dy) in [
            (Projection::Q, dq),
            (Projection::K, dk),
            (Projection::V, dv),
        ] {
            let part = self.reverse_into(call, p, &dy, &n1, grads, need_dn1)?;
            dn1 = match (dn1, part) {
                (Some(sum), Some(part)) => Some(sum::add(&sum, &part)?),
                (sum, part) => sum.or(part),
            };
        }
        let Some(dn1) = dn1 else { return Ok(None) };
        let dnorm1 = grads.view_mut(&self.norm1.name);
        let through = rms_norm::backward(&dn1, &x, &self.norm1.values, call.eps, dnorm1)?;
        Ok(if need_dx {
            Some(sum::add(&dx2, &through)?)
        } else {
            None
        })
    }

    /// `dx` of one linear layer; its parameters' gradients are added into `grads`.
    fn reverse(
        &self,
        call: &Call<'_>,
        p: Projection,
        dy: &Tensor,
        x: &Tensor,
        grads: &mut Arena,
    ) -> Result<Tensor> {
        self.reverse_into(call, p, dy, x, grads, true)?
            .ok_or_else(|| Error::Invalid("a linear layer gave no input gradient".into()))
    }

    fn reverse_into(
        &self,
        call: &Call<'_>,
        p: Projection,
        dy: &Tensor,
        x: &Tensor,
        grads: &mut Arena,
        need_dx: bool,
    ) -> Result<Option<Tensor>> {
        let (lora, trained) = call.stack.at(self.layer, p, call.row_keys);
        let LinearLayer { weight, bias } = self.linear(p);
        if let Some((index, module)) = trained {
            let Some((a, b)) = grads.view_pair_mut(&module.a_name, &module.b_name) else {
                return Err(Error::Invalid(format!(
                    "the gradient arena has no place for `{}`; make it from the trained adapter's layout",
                    module.a_name
                )));
            };
            return linear::backward(
                dy,
                x,
                weight,
                &lora,
                LoraGrads { index, a, b }.into(),
                need_dx,
            );
        }
        if let Some(bias) = bias
            && let Some((weight_grad, bias_grad)) = grads.view_pair_mut(weight.name(), &bias.name)
        {
            let wanted = LinearGrads {
                weight: Some(weight_grad),
                bias: Some(bias_grad),
                lora: None,
            };
            return linear::backward(dy, x, weight, &lora, wanted, need_dx);
        }
        let wanted = LinearGrads {
            weight: grads.view_mut(weight.name()),
            bias: None,
            lora: None,
        };
        linear::backward(dy, x, weight, &lora, wanted, need_dx)
    }
}
