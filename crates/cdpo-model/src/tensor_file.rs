//! Writing tensors to a safetensors file: whole or not at all, readable by whoever may read the files beside it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use candle_core::Tensor;

use crate::error::{Error, Result};

/// Writes `tensors` by name.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write<N>(tensors: &HashMap<N, Tensor>, path: &Path) -> Result<()>
where
    N: AsRef<str> + Ord + std::fmt::Display + std::hash::Hash + Eq,
{
    let partial = path.with_extension("safetensors.partial");
    let fault = |e| Error::io(&partial, e);
    // One that a killed process left may be private and would stay so.
    if let Err(e) = fs::remove_file(&partial)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(fault(e));
    }
    // The writer makes its file private; it gets the permissions that files are made with here.
    let permissions = File::create(&partial)
        .and_then(|file| file.metadata())
        .map_err(fault)?
        .permissions();
    candle_core::safetensors::save(tensors, &partial)?;
    fs::set_permissions(&partial, permissions).map_err(fault)?;
    File::open(&partial)
        .and_then(|file| file.sync_all())
        .map_err(fault)?;
    fs::rename(&partial, path).map_err(|e| Error::io(path, e))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_tensor_file_may_be_read_by_whoever_may_read_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let (path, neighbour) = (
            dir.path().join("adapter_model.safetensors"),
            dir.path().join("adapter_config.json"),
        );
        fs::write(&neighbour, "{}").unwrap();
        let left = path.with_extension("safetensors.partial");
        fs::write(&left, "half of it").unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&left, private).unwrap();
        let tensor = Tensor::from_slice(&[1f32, 2.0], 2, &Device::Cpu).unwrap();
        write(&HashMap::from([("a", tensor)]), &path).unwrap();
        let permissions = |path: &Path| fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions(&path), permissions(&neighbour));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
