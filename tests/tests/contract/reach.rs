//! What a function's code can come to: who calls whom in `shared` and in the function, read from
//! the text.
//!
//! Names stand for what they name: a qualified call goes to that module or type, a call without one
//! stays in the file or follows a `use`, and a method belongs to a type that its caller's file
//! mentions. That is less than a compiler knows, and enough to follow a request from its handler to
//! the store.

use std::collections::{BTreeMap, BTreeSet};

use crate::project;

/// A call of a method of the store: the file of the caller, and the method.
pub(crate) type StoreCall = (String, String);

/// The extractors that stand in a handler's signature and are called by nobody in the text.
const EXTRACTORS: [&str; 5] = ["Caller", "Admin", "Keeper", "Reporter", "Claims"];

struct File {
    path: String,
    /// What its `use` lines name, each with the module or type that it comes from.
    used: BTreeSet<(String, String)>,
}

struct Function {
    file: usize,
    name: String,
    /// The type whose method it is.
    owner: Option<String>,
    body: Vec<String>,
}

struct Call {
    /// The module or type before `::`.
    of: Option<String>,
    /// What stands before the dot.
    receiver: Option<String>,
    name: String,
}

/// The functions of the project's programs.
pub(crate) struct Code {
    files: Vec<File>,
    /// What the files of a function, or one of `shared`, mention.
    words: BTreeMap<String, BTreeSet<String>>,
    functions: Vec<Function>,
}

impl Code {
    pub(crate) fn read() -> Self {
        let mut code = Self {
            files: Vec::new(),
            words: BTreeMap::new(),
            functions: Vec::new(),
        };
        for text in project::sources() {
            let is_program = text.is_of(&["shared/src/", "functions/"]);
            let is_test = text.path.contains("/tests") || text.path.ends_with("testing.rs");
            if is_program && !is_test && text.path.ends_with(".rs") {
                code.add(&text.path, &tokens(&text.body));
            }
        }
        code
    }

    /// The public methods of the store.
    pub(crate) fn store_methods(&self) -> BTreeSet<String> {
        let of_store = self.functions.iter().filter(|function| {
            self.is_store(function) && function.body.first().is_some_and(|word| word == "pub")
        });
        of_store.map(|function| function.name.clone()).collect()
    }

    /// The calls of the store that the code of this function can come to.
    pub(crate) fn store_calls(&self, name: &str) -> BTreeSet<StoreCall> {
        let folder = format!("functions/{name}/");
        let all = 0..self.functions.len();
        let mut open: Vec<usize> = all.filter(|f| self.path(*f).starts_with(&folder)).collect();
        let mut seen: BTreeSet<usize> = open.iter().copied().collect();
        let mut found = BTreeSet::new();
        while let Some(from) = open.pop() {
            for to in self.callees(from, &folder) {
                if self.is_store(&self.functions[to]) {
                    let method = self.functions[to].name.clone();
                    found.insert((self.path(from).to_owned(), method));
                } else if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        found
    }

    fn path(&self, function: usize) -> &str {
        &self.files[self.functions[function].file].path
    }

    fn is_store(&self, function: &Function) -> bool {
        let in_store = self.files[function.file]
            .path
            .starts_with("shared/src/store/");
        in_store && function.owner.as_deref() == Some("Store")
    }

    fn add(&mut self, path: &str, tokens: &[String]) {
        let word = |token: &&String| token.starts_with(char::is_alphabetic);
        let mut used = BTreeSet::new();
        let mut rest = tokens;
        while let Some(at) = rest.iter().position(|token| token == "use") {
            let end = rest[at..].iter().position(|token| token == ";");
            let end = end.map_or(rest.len(), |end| at + end);
            used.extend(imports(&rest[at + 1..end]));
            rest = &rest[end..];
        }
        let words = self.words.entry(place(path).to_owned()).or_default();
        words.extend(tokens.iter().filter(word).cloned());
        self.files.push(File {
            path: path.to_owned(),
            used,
        });
        let file = self.files.len() - 1;
        let mut owner: (usize, Option<String>) = (0, None);
        for (at, token) in tokens.iter().enumerate() {
            if at >= owner.0 {
                owner = (0, None);
            }
            let begins = at == 0 || matches!(tokens[at - 1].as_str(), "}" | ";" | "]");
            if token == "impl" && begins {
                let open = body(tokens, at);
                owner = (end(tokens, open), owner_of(&tokens[at + 1..open]));
            } else if token == "fn" && tokens[at + 1].starts_with(char::is_alphabetic) {
                let open = body(tokens, at);
                if tokens[open] == "{" {
                    let public = tokens[..at].iter().rev().take(2).any(|word| word == "pub");
                    let from = if public { at.saturating_sub(2) } else { at };
                    let from = from + tokens[from..at].iter().take_while(|w| *w != "pub").count();
                    self.functions.push(Function {
                        file,
                        name: tokens[at + 1].clone(),
                        owner: owner.1.clone(),
                        body: tokens[from..end(tokens, open)].to_vec(),
                    });
                }
            }
        }
    }

    fn callees(&self, from: usize, folder: &str) -> Vec<usize> {
        let caller = &self.functions[from];
        let file = &self.files[caller.file];
        let mut found = Vec::new();
        for call in calls(&caller.body) {
            let fits = |to: &usize| {
                let function = &self.functions[*to];
                let at = &self.files[function.file].path;
                function.name == call.name
                    && (at.starts_with("shared/") || at.starts_with(folder))
                    && self.is_meant(&call, caller, file, function)
            };
            found.extend((0..self.functions.len()).filter(fits));
        }
        let extracted = |to: &usize| {
            let function = &self.functions[*to];
            let owner = function.owner.as_ref();
            let mentioned = owner.is_some_and(|owner| {
                EXTRACTORS.contains(&owner.as_str()) && caller.body.contains(owner)
            });
            function.name == "from_request_parts" && mentioned
        };
        found.extend((0..self.functions.len()).filter(extracted));
        found
    }

    fn is_meant(&self, call: &Call, caller: &Function, file: &File, to: &Function) -> bool {
        let at = &self.files[to.file].path;
        let owner = to.owner.as_deref();
        match (&call.of, call.receiver.as_deref()) {
            (Some(of), _) if of == "Self" => owner.is_some() && to.owner == caller.owner,
            (Some(of), _) if of.starts_with(char::is_uppercase) => owner == Some(of),
            (Some(of), _) => owner.is_none() && at.split(['/', '.']).any(|part| part == of),
            (None, Some("store")) => owner == Some("Store"),
            (None, Some("queue")) => owner == Some("Queue"),
            (None, Some("self")) => owner.is_some() && to.owner == caller.owner,
            (None, Some(_)) => owner.is_some_and(|owner| {
                let mentioned = &self.words[place(&file.path)];
                !["Store", "Queue"].contains(&owner) && mentioned.contains(owner)
            }),
            (None, None) => owner.is_none() && (*at == file.path || file.brings(&call.name, at)),
        }
    }
}

impl File {
    /// Whether a `use` line brings this name from the file at `path`.
    fn brings(&self, name: &str, path: &str) -> bool {
        let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let parts: Vec<_> = path.trim_end_matches(".rs").split('/').collect();
        let leads = |from: &str| match from {
            "super" => folder(path) == folder(&self.path),
            module => parts.contains(&module),
        };
        let named = self.used.iter().filter(|(used, _)| used == name);
        named.into_iter().any(|(_, from)| leads(from))
    }
}

/// The names of a `use` line, each with what stands before its last `::`.
fn imports(line: &[String]) -> Vec<(String, String)> {
    let (mut found, mut outer) = (Vec::new(), Vec::new());
    let mut before = String::new();
    for (at, token) in line.iter().enumerate() {
        let next = line.get(at + 1).map(String::as_str);
        match token.as_str() {
            "{" => outer.push(before.clone()),
            "}" => drop(outer.pop()),
            "," => before = outer.last().cloned().unwrap_or_default(),
            word if word.starts_with(char::is_alphabetic) && next == Some(":") => {
                before = word.to_owned();
            }
            word if word.starts_with(char::is_alphabetic) => {
                found.push((word.to_owned(), before.clone()));
            }
            _ => {}
        }
    }
    found
}

/// A function's folder; in `shared` the file.
fn place(path: &str) -> &str {
    match path.strip_prefix("functions/") {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => path,
    }
}

/// Where the body of an item begins, or its semicolon: the first that stands in no parentheses.
fn body(tokens: &[String], from: usize) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "{" | ";" if depth == 0 => return at,
            _ => {}
        }
    }
    tokens.len() - 1
}

/// Behind the brace that closes the one at `open`.
fn end(tokens: &[String], open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The type between `impl` and its body.
fn owner_of(head: &[String]) -> Option<String> {
    let mut depth = 0_i32;
    let mut owner = None;
    for token in head {
        match token.as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            "where" => break,
            "for" if depth == 0 => owner = None,
            word if depth == 0 && word.starts_with(char::is_alphabetic) => {
                owner = Some(word.to_owned());
            }
            _ => {}
        }
    }
    owner
}

fn calls(body: &[String]) -> Vec<Call> {
    let mut found = Vec::new();
    for at in 1..body.len() {
        let (name, before) = (&body[at], body[at - 1].as_str());
        let called = match body.get(at + 1).map(String::as_str) {
            Some("(") => true,
            // `name::<T>(…)`
            Some(":") => body
                .get(at + 2..at + 4)
                .is_some_and(|next| next == [":", "<"]),
            _ => false,
        };
        if !called || !name.starts_with(char::is_alphabetic) || before == "fn" {
            continue;
        }
        let earlier = |back: usize| at.checked_sub(back).map(|at| body[at].clone());
        found.push(Call {
            of: earlier(3).filter(|_| before == ":"),
            receiver: earlier(2).filter(|_| before == "."),
            name: name.clone(),
        });
    }
    found
}

/// Words and signs, without comments, texts and tests.
fn tokens(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.trim_start());
    let code: Vec<_> = lines.filter(|line| !line.starts_with("//")).collect();
    let code = code.join("\n");
    let mut tokens = Vec::new();
    let mut rest = code.as_str();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            let word = |c: char| !c.is_alphanumeric() && c != '_';
            rest.find(word).unwrap_or(rest.len())
        } else if first == '"' {
            let raw = tokens.last().is_some_and(|token: &String| token == "#");
            match raw {
                true => rest.find("\"#").map_or(rest.len(), |end| end + 2),
                false => text_length(rest),
            }
        } else if first == '\'' && rest[1..].starts_with(['{', '}', '(', ')', '"', '[', ']']) {
            3
        } else {
            first.len_utf8()
        };
        let token = &rest[..length];
        if !first.is_whitespace() && first != '"' && !rest.starts_with("//") {
            tokens.push(token.to_owned());
        }
        let comment = rest
            .starts_with("//")
            .then(|| rest.find('\n').unwrap_or(rest.len()));
        rest = &rest[comment.unwrap_or(length)..];
    }
    tokens
}

/// The length of the text that begins here, with its quotes.
fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

#[test]
fn a_request_is_followed_from_its_handler_to_the_store() {
    let code = Code::read();
    let has = |name: &str, file: &str, method: &str| {
        let calls = code.store_calls(name);
        calls.contains(&(file.to_owned(), method.to_owned()))
    };
    let mut by_function: BTreeMap<String, usize> = BTreeMap::new();
    for name in project::function_folders() {
        by_function.insert(name.clone(), code.store_calls(&name).len());
    }
    assert_eq!(by_function["health"], 0, "{by_function:?}");
    // By an extractor, by a qualified call, by a method, and inside an `async` block.
    assert!(has("compose", "shared/src/identity/revoked.rs", "revoked"));
    assert!(has(
        "compose",
        "shared/src/submit/accept.rs",
        "put_request_if_absent"
    ));
    assert!(has(
        "sweep",
        "shared/src/identity/prune.rs",
        "remove_family"
    ));
    assert!(has(
        "auth",
        "functions/auth/src/routes/users.rs",
        "put_user"
    ));
    assert!(!has("report", "shared/src/audit.rs", "put_audit"));
}
