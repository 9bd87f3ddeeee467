//! The wasmtime engine: compilation cache, instance pool, interruption.

use std::path::Path;

use anyhow::{Context, Result};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::application::MAX_INSTANCES;
use crate::epoch::add_ticks;

/// Builds an engine that keeps compiled components below `cache_dir`, so that a
/// second start does not compile again, and starts its epoch ticker.
pub fn build_engine(cache_dir: &Path) -> Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true);
    std::fs::create_dir_all(cache_dir)
        .with_context(|| format!("cannot create the folder {}", cache_dir.display()))?;
    let mut cache = CacheConfig::new();
    cache.with_directory(
        cache_dir
            .canonicalize()
            .with_context(|| format!("cannot use the folder {}", cache_dir.display()))?,
    );
    config.cache(Some(Cache::new(cache)?));

    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * 8)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 2)
        .total_stacks(MAX_INSTANCES)
        .table_elements(100_000)
        .max_core_instances_per_component(200)
        .max_core_instance_size(10 << 20)
        .max_component_instance_size(10 << 20)
        .linear_memory_keep_resident(2 << 20);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).or_else(|error| {
        // The pool reserves address space that a small machine may refuse.
        tracing::debug!("no instance pool: {error:#}");
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config)
    })?;

    add_ticks(&engine)?;
    Ok(engine)
}
