//! Walks over a module's parameters and their paths.

use std::collections::BTreeMap;
use std::convert::Infallible;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use gpt2_kernels::{DeviceError, read};

/// Gradients by the path of their parameter, as flat tensors of 32-bit floats.
pub type ParameterGradients = BTreeMap<String, Tensor<1>>;

/// Parameter of a module, as [`visit_tensors`] passes it.
pub struct ParameterView {
    /// Shape of the parameter.
    pub shape: Vec<usize>,
    /// Values on their device, flat: `[elements]`. Not a copy.
    pub values: Tensor<1>,
    /// Whether the parameter is trained.
    pub trainable: bool,
}

/// Calls `visit` with the path and the values of every parameter, in the order of construction.
///
/// Paths are those of [`ParameterSpec::path`](crate::ParameterSpec::path). Copies one parameter at
/// a time to the host.
///
/// # Errors
///
/// As [`read`]; the remaining parameters are then not visited.
pub fn visit_parameters<M: Module>(
    module: &M,
    mut visit: impl FnMut(&str, TensorData),
) -> Result<(), DeviceError> {
    let mut result = Ok(());
    visit_tensors(module, |path, ParameterView { shape, values, .. }| {
        if result.is_err() {
            return;
        }
        result = read(values).map(|data| {
            let (bytes, _, dtype) = data.into_parts();
            visit(path, TensorData::from_bytes(bytes, shape, dtype));
        });
    });
    result
}

/// Calls `visit` with every parameter's path and its values on their device, in the order of
/// construction.
pub fn visit_tensors<M: Module>(module: &M, visit: impl FnMut(&str, ParameterView)) {
    struct View<F>(F);
    impl<F: FnMut(&str, ParameterView)> ParameterVisitor for View<F> {
        fn visit<const D: usize>(&mut self, path: &str, parameter: &Param<Tensor<D>>) {
            let values = parameter.val();
            let view = ParameterView {
                shape: values.dims().to_vec(),
                values: values.reshape([-1]),
                trainable: is_trainable(parameter),
            };
            (self.0)(path, view);
        }
    }
    self::visit(module, View(visit));
}

/// Replaces the values of every parameter by the result of `update`, in the order of construction.
///
/// `update` gets the path, the shape and the flat values, and returns as many values. It can write
/// in place if the caller holds no other reference to the values.
pub fn update_parameters<M: Module>(
    module: M,
    mut update: impl FnMut(&str, &[usize], Tensor<1>) -> Tensor<1>,
) -> M {
    let updated = try_update_parameters(module, |path, shape, values| {
        Ok::<_, Infallible>(update(path, shape, values))
    });
    updated.unwrap_or_else(|impossible| match impossible {})
}

/// As [`update_parameters`], with an `update` that can fail. The first error ends the walk.
///
/// To keep the model in case of an error, pass a clone, which shares the parameters.
///
/// # Errors
///
/// The error of `update`; the module is then dropped.
pub fn try_update_parameters<M: Module, E>(
    module: M,
    update: impl FnMut(&str, &[usize], Tensor<1>) -> Result<Tensor<1>, E>,
) -> Result<M, E> {
    struct Update<'a, F, E> {
        update: F,
        failure: &'a mut Option<E>,
    }
    impl<E, F> ParameterMapper for Update<'_, F, E>
    where
        F: FnMut(&str, &[usize], Tensor<1>) -> Result<Tensor<1>, E>,
    {
        fn map<const D: usize>(
            &mut self,
            path: &str,
            parameter: Param<Tensor<D>>,
        ) -> Param<Tensor<D>> {
            // burn's walk cannot stop early.
            if self.failure.is_some() {
                return parameter;
            }
            parameter.map(|values| {
                let (shape, device) = (values.dims(), values.device());
                match (self.update)(path, &shape, values.reshape([-1])) {
                    Ok(values) => values.reshape(shape),
                    Err(error) => {
                        *self.failure = Some(error);
                        // A stand-in: the module is dropped.
                        Tensor::empty([1; D], &device)
                    }
                }
            })
        }
    }
    let mut failure = None;
    let updated = map(module, Update { update, failure: &mut failure });
    failure.map_or(Ok(updated), Err)
}

/// Whether a parameter is trained. On a device without autodiff, burn reports this only after
/// gradients are switched on, as for this clone.
pub(crate) fn is_trainable<const D: usize>(parameter: &Param<Tensor<D>>) -> bool {
    parameter.clone().train().val().is_require_grad()
}

/// Whether any parameter of a module is trained.
pub(crate) fn has_trainable<M: Module>(module: &M) -> bool {
    let mut found = false;
    visit_tensors(module, |_, parameter| found |= parameter.trainable);
    found
}

/// Receives every parameter of a module. Not a closure, because parameters differ in rank.
pub(crate) trait ParameterVisitor {
    fn visit<const D: usize>(&mut self, path: &str, parameter: &Param<Tensor<D>>);
}

/// Replaces every parameter of a module.
pub(crate) trait ParameterMapper {
    fn map<const D: usize>(&mut self, path: &str, parameter: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// Passes every parameter of a module to `each`, in the order of construction.
pub(crate) fn visit<M: Module>(module: &M, each: impl ParameterVisitor) {
    module.visit(&mut Walk { path: Vec::new(), each });
}

/// Replaces every parameter of a module by the result of `each`, in the order of construction.
pub(crate) fn map<M: Module>(module: M, each: impl ParameterMapper) -> M {
    module.map(&mut Walk { path: Vec::new(), each })
}

/// Walk over a module, with the path of the present field.
struct Walk<T> {
    path: Vec<String>,
    each: T,
}

impl<T> Walk<T> {
    fn enter(&mut self, name: &str) {
        self.path.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.path.pop();
    }
}

impl<T: ParameterVisitor> ModuleVisitor for Walk<T> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.exit();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.each.visit(&self.path.join("."), parameter);
    }
}

impl<T: ParameterMapper> ModuleMapper for Walk<T> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.each.map(&self.path.join("."), parameter)
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Pair {
        first: Param<Tensor<1>>,
        second: Param<Tensor<2>>,
    }

    #[derive(Module, Debug)]
    struct Pairs {
        pairs: Vec<Pair>,
    }

    fn pairs() -> Pairs {
        let device = Device::flex();
        let pair = || Pair {
            first: Param::from_tensor(Tensor::zeros([2], &device)),
            second: Param::from_tensor(Tensor::zeros([2, 3], &device)),
        };
        Pairs { pairs: vec![pair(), pair()] }
    }

    #[test]
    fn paths_name_fields_and_places_in_lists() {
        let mut seen = Vec::new();
        visit_tensors(&pairs(), |path, parameter| seen.push((path.to_owned(), parameter.shape)));
        let expected = [
            ("pairs.0.first", vec![2]),
            ("pairs.0.second", vec![2, 3]),
            ("pairs.1.first", vec![2]),
            ("pairs.1.second", vec![2, 3]),
        ];
        assert_eq!(seen, expected.map(|(path, shape)| (path.to_owned(), shape)));
    }

    #[test]
    fn the_first_error_ends_an_update() {
        let mut seen = Vec::new();
        let updated = try_update_parameters(pairs(), |path, shape, values| {
            seen.push(path.to_owned());
            if shape.len() == 1 { Ok(values) } else { Err(path.to_owned()) }
        });
        assert_eq!(updated.err().as_deref(), Some("pairs.0.second"));
        assert_eq!(seen, ["pairs.0.first", "pairs.0.second"]);
    }
}
