//! Variables of the environment, read as the hubs' Python clients read them.

use std::ffi::OsString;
use std::path::PathBuf;

/// Variables of a process: `env::var_os`, or a test's replacement.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Value of a variable that is not blank.
pub(crate) fn text(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name)?.into_string().ok().filter(|text| !text.trim().is_empty())
}

/// First of these variables that is set, if its value means yes to Python's clients.
pub(crate) fn flag(variables: Variables<'_>, names: &[&'static str]) -> Option<&'static str> {
    let mut values = names.iter().filter_map(|name| Some((*name, text(variables, name)?)));
    let (name, value) = values.next()?;
    matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE").then_some(name)
}

/// Path in a variable; a leading `~` is the home folder.
pub(crate) fn path(variables: Variables<'_>, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(variables(name).filter(|value| !value.is_empty())?);
    match path.strip_prefix("~") {
        Ok(rest) => Some(home(variables)?.join(rest)),
        Err(_) => Some(path),
    }
}

/// Home folder of the user.
pub(crate) fn home(variables: Variables<'_>) -> Option<PathBuf> {
    let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    variables(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
