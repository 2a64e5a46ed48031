//! The catalog on databases of our own making.
