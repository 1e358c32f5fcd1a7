//! Nothing at all: what the runner itself costs.

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {})*
    };
}

bench::suite!(tests);
