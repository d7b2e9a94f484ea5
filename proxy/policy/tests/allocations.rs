//! The plain path allocates nothing: matching and deciding cost the same whatever the allocator does.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{RequestHead, facts, get, table};
use weir_policy::{Decision, decide, host, path};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    run();
    COUNT.get() - before
}

#[test]
fn deciding_where_a_request_goes_as_it_came_allocates_nothing() {
    let table = table(
        r#"
        [routes.api]
        hosts = ["api.example.com", "*.example.com"]
        rules = [
          { match = ["GET,POST /v1/search/*", { path = "/q", headers = { x-a = "1" }, query = { q = "2" } }], to = { blue = 95, green = 5 } },
          { match = ["/old"], to = "blue" },
        ]
        [routes.any]
        rules = [{ match = ["/v1/*"], to = "blue" }]
        "#,
    );
    let facts = facts(&table);
    let headers = [("User-Agent", "curl"), ("X-A", "1")];
    let heads = [
        RequestHead { host: "api.example.com", headers: &headers, ..get("/v1/search/papers") },
        RequestHead { host: "a.b.example.com", headers: &headers, query: Some("r=1&q=2"), ..get("/q") },
        RequestHead { host: "other", headers: &headers, ..get("/v1/x") },
    ];
    let count = allocations(|| {
        for head in &heads {
            for chance in [0, u64::MAX] {
                assert!(matches!(decide(&table, head, &facts, chance), Decision::Forward(_)));
            }
        }
        assert_eq!(decide(&table, &get("/nothing"), &facts, 0), Decision::NoRoute);
    });
    assert_eq!(count, 0);
}

#[test]
fn what_is_normal_already_is_checked_without_allocating() {
    let count = allocations(|| {
        assert!(path::normalise("/v1/search/caf%C3%A9", false).is_ok());
        assert!(host::canonical("api.example.com:8443").is_ok());
    });
    assert_eq!(count, 0);
}
