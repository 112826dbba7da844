// Puts an edge counter into every branch of a TypeScript module, for the fuzzer, and makes JavaScript of it:
// `globalThis.fuzzEdges[n]++` at each function's start, each arm of a condition, each loop's body and each case.
import ts from 'typescript';

/** JavaScript of `source`, its counters numbered from `first`; and how many they are. */
export function javascriptWithEdges(source, fileName, first) {
  let next = first;
  const { factory } = ts;
  const hit = () =>
    factory.createPostfixIncrement(
      factory.createElementAccessExpression(
        factory.createPropertyAccessExpression(factory.createIdentifier('globalThis'), 'fuzzEdges'),
        next++,
      ),
    );
  const counted = (statement) =>
    factory.createBlock([
      factory.createExpressionStatement(hit()),
      ...(statement === undefined
        ? []
        : ts.isBlock(statement)
          ? statement.statements
          : [statement]),
    ]);
  const countedValue = (value) =>
    factory.createParenthesizedExpression(factory.createComma(hit(), value));
  const isLogical = ({ kind }) =>
    kind === ts.SyntaxKind.AmpersandAmpersandToken ||
    kind === ts.SyntaxKind.BarBarToken ||
    kind === ts.SyntaxKind.QuestionQuestionToken;

  const transformer = (context) => {
    const visit = (node) => changed(ts.visitEachChild(node, visit, context));
    return (file) => ts.visitNode(file, visit);
  };

  function changed(node) {
    if (ts.isIfStatement(node)) {
      const { expression, thenStatement, elseStatement } = node;
      return factory.updateIfStatement(
        node,
        expression,
        counted(thenStatement),
        counted(elseStatement),
      );
    }
    if (ts.isConditionalExpression(node)) {
      const { condition, questionToken, whenTrue, colonToken, whenFalse } = node;
      return factory.updateConditionalExpression(
        node,
        condition,
        questionToken,
        countedValue(whenTrue),
        colonToken,
        countedValue(whenFalse),
      );
    }
    if (ts.isBinaryExpression(node) && isLogical(node.operatorToken)) {
      const right = countedValue(node.right);
      return factory.updateBinaryExpression(node, node.left, node.operatorToken, right);
    }
    if (ts.isArrowFunction(node)) {
      const body = ts.isBlock(node.body) ? counted(node.body) : countedValue(node.body);
      return factory.updateArrowFunction(
        node,
        node.modifiers,
        node.typeParameters,
        node.parameters,
        node.type,
        node.equalsGreaterThanToken,
        body,
      );
    }
    if (ts.isForOfStatement(node)) {
      const { awaitModifier, initializer, expression, statement } = node;
      return factory.updateForOfStatement(
        node,
        awaitModifier,
        initializer,
        expression,
        counted(statement),
      );
    }
    if (ts.isForStatement(node)) {
      const { initializer, condition, incrementor, statement } = node;
      return factory.updateForStatement(
        node,
        initializer,
        condition,
        incrementor,
        counted(statement),
      );
    }
    if (ts.isWhileStatement(node)) {
      return factory.updateWhileStatement(node, node.expression, counted(node.statement));
    }
    if (ts.isCaseClause(node)) {
      const statements = [factory.createExpressionStatement(hit()), ...node.statements];
      return factory.updateCaseClause(node, node.expression, statements);
    }
    if (ts.isBlock(node) && isBody(ts.getOriginalNode(node).parent)) return counted(node);
    return node;
  }

  const isBody = (parent) =>
    parent !== undefined &&
    (ts.isFunctionDeclaration(parent) ||
      ts.isMethodDeclaration(parent) ||
      ts.isGetAccessor(parent) ||
      ts.isConstructorDeclaration(parent) ||
      ts.isFunctionExpression(parent) ||
      ts.isCatchClause(parent));

  const { outputText } = ts.transpileModule(source, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
    transformers: { before: [transformer] },
  });
  return { code: outputText, edges: next - first };
}
