//! The engine's runtime wants an object store for every scan's URL; ours read through their own reader factory. This one
//! stands in: it is registered under a private URL and holds nothing, so a read that went past the factory would fail
//! instead of finding something.

use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::memory::InMemory;

const URL: &str = "featgres://tables/";

/// The URL of all table scans.
pub fn engine_store_url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse(URL).unwrap_or_else(|_| ObjectStoreUrl::local_filesystem())
}

/// Makes table scans possible in this runtime. The composition root calls it once for each `RuntimeEnv`.
pub fn register_engine_store(runtime: &RuntimeEnv) {
    runtime.register_object_store(engine_store_url().as_ref(), Arc::new(InMemory::new()));
}
