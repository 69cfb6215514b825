//! One request reaches one function, behind API Gateway as on a laptop.

use std::collections::BTreeMap;

use matchit::Router;
use serde_json::Value;

use crate::project;
use crate::template::Template;

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY",
];

/// The HTTP API of the template. Function = binary.
struct Gateway {
    routes: Vec<(String, String, String)>,
    by_method: BTreeMap<String, Router<String>>,
    default: String,
}

impl Gateway {
    fn read() -> Self {
        let template = Template::read();
        let mut gateway = Self {
            routes: Vec::new(),
            by_method: BTreeMap::new(),
            default: String::new(),
        };
        for function in template.functions() {
            for route in function.routes() {
                gateway.add(route.method, route.path, function.binary);
            }
        }
        assert!(!gateway.default.is_empty(), "no function has $default");
        gateway
    }

    fn add(&mut self, method: Option<&str>, path: &str, function: &str) {
        let Some(method) = method else {
            assert_eq!(path, "$default", "{function} has a route without a method");
            assert!(self.default.is_empty(), "$default is there twice");
            self.default = function.to_owned();
            return;
        };
        assert!(METHODS.contains(&method), "{method} {path}");
        let router = self.by_method.entry(method.to_owned()).or_default();
        router.insert(path, function.to_owned()).unwrap();
        self.routes
            .push((method.to_owned(), path.to_owned(), function.to_owned()));
    }

    /// The most specific route wins; what has none goes to `$default`.
    fn function(&self, method: &str, path: &str) -> &str {
        let router = self.by_method.get(method);
        let found = router.and_then(|router| router.at(path).ok());
        found.map_or(&self.default, |found| found.value)
    }

    /// The functions that this very path is given to.
    fn at(&self, path: &str) -> Vec<&str> {
        let here = self.routes.iter().filter(|(_, at, _)| at == path);
        here.map(|(_, _, function)| function.as_str()).collect()
    }
}

/// A line of the laptop's router: method → function, or one function for all.
enum Line {
    Any(String),
    Methods(BTreeMap<String, String>),
}

/// `[workspace.metadata.lambda.watch.router]`, matched as cargo-lambda does.
struct Laptop {
    lines: BTreeMap<String, Line>,
    router: Router<String>,
}

impl Laptop {
    fn read() -> Self {
        let cargo = project::cargo();
        let table = &cargo["metadata"]["lambda"]["watch"]["router"];
        let table = table.as_object().expect("Cargo.toml has no router table");
        let mut router = Router::new();
        let mut lines = BTreeMap::new();
        for (path, line) in table {
            router.insert(path, path.clone()).unwrap();
            lines.insert(path.clone(), Line::read(line));
        }
        Self { lines, router }
    }

    /// None where cargo-lambda would let the caller hang.
    fn function(&self, method: &str, path: &str) -> Option<&str> {
        let found = self.router.at(path).ok()?;
        match &self.lines[found.value] {
            Line::Any(function) => Some(function),
            Line::Methods(functions) => functions.get(method).map(String::as_str),
        }
    }
}

impl Line {
    fn read(value: &Value) -> Self {
        if let Some(function) = value.as_str() {
            return Self::Any(function.to_owned());
        }
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
        let entries = value.as_array().unwrap().iter();
        Self::Methods(
            entries
                .map(|entry| (text(entry, "method"), text(entry, "function")))
                .collect(),
        )
    }
}

/// An address that the pattern matches.
fn example(pattern: &str) -> String {
    let parts = pattern.split('/').map(|part| match part {
        "{*rest}" => "no/such/place",
        part if part.starts_with('{') => "0199a1b2-0000-7000-8000-000000000000",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_of_the_gateway_reaches_the_same_function_on_a_laptop() {
    let (gateway, laptop) = (Gateway::read(), Laptop::read());
    for (method, path, function) in &gateway.routes {
        let local = laptop.function(method, &example(path));
        assert_eq!(local, Some(function.as_str()), "{method} {path}");
    }
}

#[test]
fn every_line_of_the_laptops_router_agrees_with_the_gateway() {
    let (gateway, laptop) = (Gateway::read(), Laptop::read());
    for (path, line) in &laptop.lines {
        match line {
            Line::Methods(functions) => {
                for (method, function) in functions {
                    let cloud = gateway.function(method, &example(path));
                    assert_eq!(function, cloud, "{method} {path}");
                }
            }
            // The gateway names methods one by one; any other one is refused, whoever says so.
            Line::Any(function) if !gateway.at(path).is_empty() => {
                assert!(gateway.at(path).iter().all(|at| at == function), "{path}");
            }
            Line::Any(function) => assert_eq!(*function, gateway.default, "{path}"),
        }
    }
}

#[test]
fn an_address_that_nobody_has_reaches_the_default_function_on_both() {
    let (gateway, laptop) = (Gateway::read(), Laptop::read());
    for path in ["/", "/no", "/no/such/place", "/jobs/0/no/such/place"] {
        for method in METHODS {
            assert_eq!(gateway.function(method, path), gateway.default);
            let local = laptop.function(method, path);
            assert_eq!(local, Some(gateway.default.as_str()), "{method} {path}");
        }
    }
}

#[test]
fn no_request_hangs_on_a_laptop() {
    let laptop = Laptop::read();
    for path in laptop.lines.keys() {
        for method in METHODS {
            let local = laptop.function(method, &example(path));
            assert!(local.is_some(), "no function answers {method} {path}");
        }
    }
}
