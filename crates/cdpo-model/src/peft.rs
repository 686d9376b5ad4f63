//! PEFT's adapter files, `adapter_config.json` and `adapter_model.safetensors`, written and read key for key.
