//! Properties of the whole: generated documents and requests that are likely to collide.

mod documents;
mod explained;
mod matching;
mod shadows;
