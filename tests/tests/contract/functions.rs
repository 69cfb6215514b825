//! functions/ and the template name the same functions.

use crate::project;
use crate::template::Template;

#[test]
fn every_folder_of_functions_is_a_function_of_the_template() {
    let template = Template::read();
    let mut binaries: Vec<_> = template.functions().iter().map(|f| f.binary).collect();
    binaries.sort();
    assert_eq!(project::function_folders(), binaries);
}

#[test]
fn every_folder_of_functions_builds_a_program_of_its_name() {
    let cargo = project::cargo();
    let packages = cargo["packages"].as_array().unwrap();
    for folder in project::function_folders() {
        let package = packages.iter().find(|package| package["name"] == *folder);
        let package = package.unwrap_or_else(|| panic!("functions/{folder} is no crate {folder}"));
        let targets = package["targets"].as_array().unwrap();
        assert!(
            targets
                .iter()
                .any(|target| target["name"] == *folder && target["kind"][0] == "bin"),
            "functions/{folder} builds no program {folder}"
        );
    }
}

#[test]
fn every_function_is_built_by_cargo_lambda() {
    let template = Template::read();
    for function in template.functions() {
        let name = function.name;
        let metadata = &template.resources()[name]["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{name}");
        assert_eq!(function.property("Handler"), "bootstrap", "{name}");
        assert_eq!(function.property("Runtime"), "provided.al2023", "{name}");
    }
}
