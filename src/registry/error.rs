//! What can go wrong with definitions and their store.
