//! The services behind the proxy: endpoint sets, DNS, in-flight counts; the shell around weir-resilience.
