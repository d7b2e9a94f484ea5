//! What an operator writes: units, names, the documents, their checks and differences. Pure.
