//! Balancers and budgets as plain state machines. Pure.
