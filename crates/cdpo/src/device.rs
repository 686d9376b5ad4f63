//! The device that models run on.

use anyhow::Context as _;
use cdpo_model::Device;

/// The first GPU if the binary was built for one, else the CPU.
pub(crate) fn device() -> anyhow::Result<Device> {
    if cfg!(feature = "cuda") {
        Device::new_cuda(0)
            .context("no CUDA device can be used; build without --features cuda for the CPU")
    } else if cfg!(feature = "metal") {
        Device::new_metal(0)
            .context("no Metal device can be used; build without --features metal for the CPU")
    } else {
        Ok(Device::Cpu)
    }
}
