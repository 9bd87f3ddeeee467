//! The paths of a document's servers, with their variables.

use crate::source::{NodeId, Tree};

/// The paths of the servers of a document, the first one first; empty where a server has none.
pub(crate) fn base_paths(tree: &Tree, root: NodeId) -> Vec<String> {
    if let Some(base) = tree.get_str(root, "basePath") {
        return vec![base.trim_end_matches('/').to_owned()];
    }
    tree.get(root, "servers")
        .map(|servers| server_paths(tree, servers))
        .unwrap_or_default()
}

/// The paths of the servers with the defaults of their variables.
fn server_paths(tree: &Tree, servers: NodeId) -> Vec<String> {
    let entries = tree.entries(servers).iter();
    entries
        .filter_map(|server| {
            let mut url = tree.get_str(*server, "url")?.to_owned();
            for (name, values) in server_variables(tree, *server) {
                let default = values.first().map_or("", String::as_str);
                url = url.replace(&format!("{{{name}}}"), default);
            }
            Some(path_of_url(&url))
        })
        .collect()
}

/// The paths that a request may carry: also those with the other values of a variable. One that is free in its
/// values stays as `{name}`.
pub(super) fn served_paths(tree: &Tree, holder: NodeId) -> Vec<String> {
    const MOST: usize = 64;
    if tree.get_str(holder, "basePath").is_some() {
        return base_paths(tree, holder);
    }
    let servers = tree.get(holder, "servers");
    let mut paths = servers
        .map(|servers| server_paths(tree, servers))
        .unwrap_or_default();
    for server in servers
        .map(|servers| tree.entries(servers))
        .unwrap_or_default()
    {
        let mut urls = vec![
            tree.get_str(*server, "url")
                .map(path_of_url)
                .unwrap_or_default(),
        ];
        for (name, values) in server_variables(tree, *server) {
            let placeholder = format!("{{{name}}}");
            if values.len() > 1 && urls.len() * values.len() <= MOST {
                urls = urls
                    .iter()
                    .flat_map(|url| {
                        values
                            .iter()
                            .map(|value| url.replace(&placeholder, value))
                            .collect::<Vec<_>>()
                    })
                    .collect();
            }
        }
        for url in urls {
            if !paths.contains(&url) {
                paths.push(url);
            }
        }
    }
    paths
}

/// The variables of a server, each with its default and then its other values.
fn server_variables(tree: &Tree, server: NodeId) -> Vec<(&str, Vec<String>)> {
    let text = |node| {
        tree.value(node)
            .to_string()
            .trim_matches('"')
            .trim_matches('/')
            .to_owned()
    };
    tree.get(server, "variables")
        .into_iter()
        .flat_map(|node| tree.members(node))
        .map(|(name, variable)| {
            let mut values: Vec<String> = tree
                .get(variable, "default")
                .map(text)
                .into_iter()
                .collect();
            let others = tree.get(variable, "enum");
            for other in others.map(|node| tree.entries(node)).unwrap_or_default() {
                let other = text(*other);
                if !values.contains(&other) {
                    values.push(other);
                }
            }
            (name, values)
        })
        .collect()
}

/// The path of a URL, without a slash at its end.
fn path_of_url(url: &str) -> String {
    let after_host = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(""),
        None => url,
    };
    let path = after_host.split(['?', '#']).next().unwrap_or("");
    let path = path.trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}
